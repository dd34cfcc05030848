package pluginhost_test

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/internal/pluginhost"
)

// bound is more than a plugin has with the race detector in it.
const bound = 160 << 20

func init() {
	grow = func() { // resident at once, and nothing that the race detector doubles
		if _, err := syscall.Mmap(-1, 0, bound, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_POPULATE); err != nil {
			panic(err)
		}
	}
}

// TestMemoryIsBounded: a process that stays above its memory is replaced, and
// what it has in flight is answered first.
func TestMemoryIsBounded(t *testing.T) {
	h, p, ready := started(t)
	first := h.Status()[0].PID
	drains := send(t, p, "wait", 300*time.Millisecond)
	h.Use(pluginhost.Source{Name: "fake", Memory: bound})
	if _, err := p.Apply(t.Context(), setup()); err != nil { // another bound is another process
		t.Fatal(err)
	}
	wait(t, ready)
	if r := wait(t, drains); r.Lost {
		t.Errorf("in flight when the bound changed: %+v", r)
	}
	bounded := h.Status()[0].PID
	if bounded == first {
		t.Fatal("the process has the old bound")
	}
	env := wait(t, send(t, p, "env", time.Second))
	if !strings.Contains(env.Receipt, "GOMEMLIMIT="+strconv.Itoa(bound-bound/8)) {
		t.Errorf("the collector is not told: %s", env.Receipt)
	}
	if r := wait(t, send(t, p, "grow", time.Second)); r.Verdict != relay.Delivered {
		t.Fatalf("got %+v", r)
	}
	drains = send(t, p, "wait", 4*time.Second)
	wait(t, ready)
	if h.Status()[0].PID == bounded {
		t.Error("a process above its memory is still the current one")
	}
	if r := wait(t, drains); r.Lost || r.Verdict != relay.Temporary {
		t.Errorf("in flight in the process that had outgrown its memory: %+v", r)
	}
}

// TestSuspectsHaveAProcessOfTheirOwn: what ends it ends nothing else.
func TestSuspectsHaveAProcessOfTheirOwn(t *testing.T) {
	h, p, _ := started(t)
	pid := h.Status()[0].PID
	beside := send(t, p, "wait", 2*time.Second)
	for range 2 {
		if r := wait(t, sendBy(t, p.DeliverAlone, "exit", time.Second)); !r.Lost || !r.Alone {
			t.Errorf("a suspect that ends its process: %+v", r)
		}
	}
	r := wait(t, sendBy(t, p.DeliverAlone, "hello", time.Second))
	if own, _ := strconv.Atoi(r.Receipt); r.Verdict != relay.Delivered || own == pid {
		t.Errorf("a suspect that does nothing: %+v", r)
	}
	if r := wait(t, beside); r.Lost {
		t.Errorf("a delivery beside them: %+v", r)
	}
	if all := h.Status(); len(all) != 2 || all[0].PID != pid || all[1].Name != "fake (suspects)" {
		t.Errorf("status: %+v", all)
	}
}
