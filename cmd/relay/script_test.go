package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs testdata/script: a file for each command, to be read without
// knowing Go. `relay` in them is the real program. Beside the usual words of
// such scripts (exec, stdout, stderr, cmp, …) they know:
//
//	receiver NAME            starts a receiver of webhooks; $NAME is its URL
//	received NAME N FILE     waits for N bodies there and writes them, one a line
//	ready SOCKET             waits until a relay accepts events on this socket
//	get SOCKET PATH          asks a relay; prints the status and the answer
//	exits CODE COMMAND…      runs a command that must end with this exit code
//	until REGEXP COMMAND…    runs a command until its output has a match
//	capture NAME REGEXP      $NAME is what its group matches in the last output
func TestScripts(t *testing.T) {
	// A short path: the sockets of relay and of its plugins stand below it.
	root, err := os.MkdirTemp("/tmp", "rl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	type receivers map[string]*hook
	of := func(ts *testscript.TestScript) receivers { return ts.Value("receivers").(receivers) }
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		WorkdirRoot:         root,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Values["receivers"] = receivers{}
			env.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"receiver": func(ts *testscript.TestScript, neg bool, args []string) {
				wants(ts, neg, len(args) == 1, "receiver NAME")
				h := newHook(t)
				of(ts)[args[0]] = h
				ts.Setenv(args[0], h.URL)
			},
			"received": func(ts *testscript.TestScript, neg bool, args []string) {
				wants(ts, neg, len(args) == 3, "received NAME N FILE")
				h := of(ts)[args[0]]
				n, err := strconv.Atoi(args[1])
				ts.Check(err)
				waitFor(ts, func() error {
					if got := h.all(); len(got) < n {
						return fmt.Errorf("%s received %d of %d: %s", args[0], len(got), n, got)
					}
					return nil
				})
				ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.Join(h.all(), "\n")+"\n"), 0o600))
			},
			"ready": func(ts *testscript.TestScript, neg bool, args []string) {
				wants(ts, neg, len(args) == 1, "ready SOCKET")
				waitFor(ts, func() error {
					status, body, err := getUnix(ts.MkAbs(args[0]), "/readyz")
					if err == nil && status != http.StatusOK {
						err = fmt.Errorf("/readyz answers %d %s", status, body)
					}
					return err
				})
			},
			"get": func(ts *testscript.TestScript, neg bool, args []string) {
				wants(ts, neg, len(args) == 2, "get SOCKET PATH")
				status, body, err := getUnix(ts.MkAbs(args[0]), args[1])
				ts.Check(err)
				fmt.Fprintf(ts.Stdout(), "%d\n%s", status, body)
			},
			"exits": func(ts *testscript.TestScript, neg bool, args []string) {
				wants(ts, neg, len(args) > 1, "exits CODE COMMAND…")
				code := "0"
				var exit *exec.ExitError
				if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
					code = strconv.Itoa(exit.ExitCode())
				} else {
					ts.Check(err)
				}
				if code != args[0] {
					ts.Fatalf("%s ended with exit code %s, want %s", args[1], code, args[0])
				}
			},
			"until": func(ts *testscript.TestScript, neg bool, args []string) {
				wants(ts, neg, len(args) > 1, "until REGEXP COMMAND…")
				pattern, err := regexp.Compile("(?m)" + args[0])
				ts.Check(err)
				waitFor(ts, func() error {
					if err := ts.Exec(args[1], args[2:]...); err != nil {
						return err
					}
					if out := ts.ReadFile("stdout"); !pattern.MatchString(out) {
						return fmt.Errorf("nothing in it matches %s:\n%s", pattern, out)
					}
					return nil
				})
			},
			"capture": func(ts *testscript.TestScript, neg bool, args []string) {
				wants(ts, neg, len(args) == 2, "capture NAME REGEXP")
				pattern, err := regexp.Compile("(?m)" + args[1])
				ts.Check(err)
				m := pattern.FindStringSubmatch(ts.ReadFile("stdout"))
				if len(m) != 2 {
					ts.Fatalf("the last output has no match with one group for %s", args[1])
				}
				ts.Setenv(args[0], m[1])
			},
		},
	})
}

// wants ends a script that uses a word wrongly.
func wants(ts *testscript.TestScript, neg, ok bool, usage string) {
	if neg || !ok {
		ts.Fatalf("usage: %s", usage)
	}
}

// waitFor tries until there is no error.
func waitFor(ts *testscript.TestScript, try func() error) {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-timeout.C:
			ts.Fatalf("not within %s: %v", patience, err)
		}
	}
}

// getUnix asks the relay that listens on a socket.
func getUnix(socket, path string) (int, []byte, error) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	resp, err := client.Get("http://localhost" + path)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, append(bytes.TrimSpace(body), '\n'), err
}
