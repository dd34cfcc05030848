package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// The floor is what any relay in Go costs: a process that takes a POST and
// posts the body on, and does nothing else. It runs from this same program, so
// that both are measured on the same machine in the same run.

// floorArgument makes this program the floor's process.
const floorArgument = "floor"

// serveFloor is the floor's process: it listens, posts on to target, and
// answers when that is done. Its address goes to standard output.
func serveFloor(target string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() { // the parent closes standard input when it is done
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true}}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "cut short", http.StatusBadRequest)
			return
		}
		resp, err := client.Post(target, "application/json", bytes.NewReader(body))
		if err != nil {
			http.Error(w, "not delivered", http.StatusBadGateway)
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		w.WriteHeader(http.StatusAccepted)
	})}
	return server.Serve(l)
}

// floor measures the CPU time that one event costs there, in µs.
func floor(receiver *receiver, events, clients int) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(self, floorArgument, "http://"+receiver.address+"/hook")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		stdin.Close()
		cmd.Wait()
	}()
	var address string
	if _, err := fmt.Fscanln(stdout, &address); err != nil {
		return 0, err
	}
	r := &running{cmd: cmd, base: "http://" + address, http: newClient()}
	if _, err := r.load(receiver, events/10, clients); err != nil {
		return 0, err
	}
	receiver.reset()
	before, err := processTime(cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	if _, err := r.load(receiver, events, clients); err != nil {
		return 0, err
	}
	after, err := processTime(cmd.Process.Pid)
	receiver.reset()
	return (after - before).Seconds() * 1e6 / float64(events), err
}
