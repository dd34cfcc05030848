//go:build !windows

package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// runAsInit is relay as process 1 of a container. The kernel gives process 1
// every orphan of the container and no default for any signal, so process 1
// does only what that asks for: it starts the real relay as a child, passes
// signals on, reaps whatever dies, and ends as its child ends.
func runAsInit() int {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGCHLD)
	executable, err := os.Executable()
	if err == nil {
		var child *os.Process
		child, err = os.StartProcess(executable, os.Args, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
		if err == nil {
			return superviseAsInit(child.Pid, signals)
		}
	}
	fmt.Fprintf(os.Stderr, "relay: error: start relay below process 1: %v\n", err)
	return 1
}

func superviseAsInit(child int, signals <-chan os.Signal) int {
	for {
		// First what died before anybody listened for SIGCHLD: a start script
		// that ended in "exec relay" leaves its own children.
		if code, ended := reap(child); ended {
			return code
		}
		if s := <-signals; s != syscall.SIGCHLD {
			syscall.Kill(child, s.(syscall.Signal)) // one that is gone is reaped next
		}
	}
}

// reap takes everything that has ended, and says how the child did.
func reap(child int) (code int, ended bool) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		switch {
		case err == syscall.EINTR:
		case pid <= 0: // nobody else has ended
			return 0, false
		case pid != child: // an orphan
		case status.Signaled():
			return 128 + int(status.Signal()), true
		default:
			return status.ExitStatus(), true
		}
	}
}
