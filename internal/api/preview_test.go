package api_test

import (
	"strings"
	"testing"
)

func TestShowPreview(t *testing.T) {
	d := newDesk(t)
	got := d.ask(`POST /v1/preview {"destination":"team","event":{"a":9007199254740993}}`, 200)
	for _, want := range []string{`"event":{"a":9007199254740993}`, `"message":"<b>"`, `"template_error":null`, `"request":null`, `"limit":null`} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s in it", got, want)
		}
	}
	for target, status := range map[string]int{
		`POST /v1/preview {"destination":"refused"}`:                     400,
		`POST /v1/preview {"destination":"event"}`:                       400,
		`POST /v1/preview {"destination":"broken"}`:                      500,
		`POST /v1/preview {"destnation":"team"}`:                         400,
		`POST /v1/preview {"recipient":1}`:                               400,
		`POST /v1/preview {"type":"` + strings.Repeat("x", 2<<20) + `"}`: 413,
	} {
		if got := d.ask(target, status); !strings.Contains(got, `"detail":`) {
			t.Errorf("%.80s: got %s", target, got)
		}
	}
	if got := d.ask(`POST /v1/preview {"destination":"event"}`, 400); strings.Count(got, `"path":"$.event.`) != 2 {
		t.Errorf("got %s", got)
	}
}
