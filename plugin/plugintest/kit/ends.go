package kit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/relay-sidecar/relay"
)

func (t *trial) crash(ctx context.Context) (string, error) {
	t.vendor.say(t.c.Answer)
	release := t.vendor.hold()
	c, err := t.send(t.delivery("crash"))
	if err == nil && t.vendor.waiting(1, 5*time.Second) == 0 {
		err = errors.New("no request came to the vendor")
	}
	if err != nil {
		release()
		return "", err
	}
	syscall.Kill(-t.proc.PID, syscall.SIGKILL)
	_, lost := t.wait(c, 5*time.Second)
	release()
	if lost == nil {
		return "", errors.New("a process that was killed answered")
	}
	t.stop()
	if err := t.start(); err != nil {
		return "", fmt.Errorf("after a crash it does not start again: %w", err)
	}
	if _, err := t.put(ctx, t.good); err != nil {
		return "", err
	}
	d := t.delivery("crash")
	if r, err := t.deliver(d); err != nil || r.Verdict != relay.Delivered {
		return "", fmt.Errorf("after a crash the delivery is sent again: %s %s (%v)", r.Verdict, r.Error, err)
	}
	return "killed with a delivery on its way, started again, delivered", nil
}

func (t *trial) shutdown(context.Context) (string, error) {
	began := time.Now()
	t.stop()
	took := time.Since(began).Round(10 * time.Millisecond)
	if took > 1500*time.Millisecond {
		return "", fmt.Errorf("asked to shut down, it did not end within %s and was killed; serve GRPCController.Shutdown, and end the process there", took)
	}
	return fmt.Sprintf("in %s", took), nil
}

func (t *trial) parentGone(context.Context) (string, error) {
	if err := t.start(); err != nil {
		return "", err
	}
	t.parent[1].Close() // the write end: relay is gone
	t.parent[1] = nil
	began := time.Now()
	timer := time.NewTimer(5 * time.Second)
	defer timer.Stop()
	select {
	case <-t.proc.Conn.Exited.Done():
	case <-timer.C:
		t.stop()
		return "", errors.New("relay is gone, and the process lives on; read file descriptor 3 to its end, and exit then")
	}
	took := time.Since(began).Round(time.Millisecond)
	t.stop()
	return fmt.Sprintf("ended %s after", took), nil
}

func (t *trial) secrets(context.Context) (string, error) {
	t.mu.Lock()
	said := t.said.String()
	t.mu.Unlock()
	all := append(relay.SecretsIn(t.who.ProviderSchema, t.good.Provider), relay.SecretsIn(t.who.DestinationSchema, t.good.Target)...)
	n := 0
	for _, secret := range all {
		if len(secret) < 8 {
			continue
		}
		n++
		if at := strings.Index(said, secret); at >= 0 {
			// Where it stands, without the secret itself.
			line := said[max(0, at-60):at]
			if i := strings.LastIndexByte(line, '\n'); i >= 0 {
				line = line[i+1:]
			}
			return "", fmt.Errorf("a secret setting left the plugin: …%s<secret>…\nmask it in logs, errors, problems and reports", line)
		}
	}
	if n == 0 {
		return skip("no setting is marked as secret (\"writeOnly\": true)")
	}
	return fmt.Sprintf("%d, in nothing that it logged or answered", n), nil
}
