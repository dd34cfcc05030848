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
	for s := range signals {
		if s != syscall.SIGCHLD {
			syscall.Kill(child, s.(syscall.Signal)) // a child that is gone is reaped below
			continue
		}
		for {
			var status syscall.WaitStatus
			pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
			if err == syscall.EINTR {
				continue
			}
			if pid <= 0 {
				break
			}
			if pid != child {
				continue // an orphan
			}
			if status.Signaled() {
				return 128 + int(status.Signal())
			}
			return status.ExitStatus()
		}
	}
	return 1
}
