package plugintest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin"
)

// NoSecrets fails where what an attempt leaves behind (a report, matches,
// problems) shows a secret.
func NoSecrets(t testing.TB, what any, secrets ...string) {
	t.Helper()
	shown(t, what, secrets)
}

// Masked is NoSecrets for what has to show [relay.SecretText] in a secret's place.
func Masked(t testing.TB, what any, secrets ...string) {
	t.Helper()
	if text := shown(t, what, secrets); !strings.Contains(text, relay.SecretText) {
		t.Errorf("nothing was masked: %s", text)
	}
}

// shown is all that a reader of the log would see.
func shown(t testing.TB, what any, secrets []string) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(what); err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets {
		if s == "" || strings.Contains(b.String(), s) {
			t.Errorf("the secret %q shows: %s", s, b.String())
		}
	}
	return b.String()
}

// Echoes are answers that give away secrets, by what they do: those say back
// the whole request, in the body or in headers; the connection breaks; or no
// HTTP comes. They know no vendor's form: answers with its codes are a
// provider's to add.
func Echoes(secrets ...string) map[string]http.HandlerFunc {
	said := func(r *http.Request) string {
		body, _ := io.ReadAll(r.Body)
		query, _ := url.QueryUnescape(r.URL.RawQuery) // "" says nothing that is not said already
		words := append(slices.Clone(secrets), "http://"+r.Host+r.RequestURI, query, string(body))
		for _, values := range r.Header {
			words = append(words, values...)
		}
		return strings.Join(words, " ")
	}
	return map[string]http.HandlerFunc{
		"said back": func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, said(r)) },
		"said back in a refusal": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, said(r))
		},
		"said back in headers": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Request-Id", said(r))
			w.Header().Set("Location", "http://"+r.Host+r.RequestURI)
			w.WriteHeader(http.StatusFound)
		},
		"the connection breaks": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"no HTTP": func(w http.ResponseWriter, r *http.Request) {
			words := said(r)
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			fmt.Fprintf(conn, "GARBAGE %s\r\n\r\n", words)
			conn.Close()
		},
	}
}

// Webhook is a destination whose URL is its secret, as [WebhookLeaksNothing]
// takes it.
type Webhook struct {
	Path    string                              // with the query; "/" and more
	Open    func(url string) plugin.Destination // each time with a provider of its own
	Secrets []string                            // all that nobody may see: of the URL, and of the other settings
	// Signature is what a call proves itself with, in the form that the vendor
	// would say back; nobody may see that either. Nil where nothing is signed.
	Signature func(c Call) string
	// Answers are given beside those of [Echoes]: what the vendor says in its own
	// form, with the secrets in it.
	Answers map[string]http.HandlerFunc
}

// WebhookLeaksNothing sends messages that hold the secrets to a vendor that says
// them back, and to one that does not listen. Every report has to show the URL
// as http://host/<secret>, and none of the secrets.
func WebhookLeaksNothing(t *testing.T, w Webhook) {
	v := NewVendor(t)
	v.Handle("webhook", "/", nil)
	send := func(t *testing.T) relay.Report {
		text := strings.Join(append([]string{"see", v.URL + w.Path}, w.Secrets...), " ")
		report := Send(t, w.Open(v.URL+w.Path), &plugin.Delivery{ID: "0199a5b0-0000-7000-8000-000000000001", Attempt: 1,
			Event: json.RawMessage(`{"id":"1","type":"x.y","title":"t"}`)}, relay.Rendered{Text: text})
		Masked(t, report, w.Secrets...)
		if want := v.URL + "/" + relay.SecretText; report.Request.URL != want {
			t.Errorf("the URL shows as %q, want %q", report.Request.URL, want)
		}
		return report
	}
	answers := Echoes(w.Secrets...)
	for name, answer := range w.Answers {
		answers[name] = answer
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			v.Fail("webhook", "", 1, answer)
			report := send(t)
			if w.Signature != nil {
				calls := v.Calls("webhook")
				Masked(t, report, w.Signature(calls[len(calls)-1]))
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		v.Close()
		if report := send(t); report.Verdict != relay.Temporary {
			t.Errorf("got %s", report.Verdict)
		}
	})
}
