package post_test

import (
	"strings"
	"testing"

	"github.com/relay-sidecar/relay/plugin/post"
)

func TestBaseURL(t *testing.T) {
	const usual = "https://api.example.com/v1"
	for raw, want := range map[string]string{
		"":                               usual,
		"https://gateway.internal/v1/":   "https://gateway.internal/v1",
		"http://127.0.0.1:8080":          "http://127.0.0.1:8080",
		"http://gateway.internal/v1":     "! http is taken to a loopback address only",
		"gateway.internal":               "! not a URL, since it does not begin with https://; leave the key out for " + usual,
		"gateway.internal:443":           "! not a URL, since it does not begin with https://; ",
		"ftp://gateway.internal":         "! not a URL that relay can call: it does not begin with https://; ",
		"https://%zz":                    "! not a URL: its host, its port or a %-escape in it is not well formed; ",
		" https://gateway.internal":      "! not a URL, since it has blanks before, in or behind it; ",
		"https://gateway.internal ":      "! not a URL, since it has blanks before, in or behind it; ",
		"https:///v1":                    "! not a URL, since there is no host behind the https://; ",
		"https://:443/v1":                "! not a URL, since there is no host behind the https://; ",
		"https://gateway.internal:99999": "! not a URL, since its port is not a number from 1 to 65535; ",
		"https://gateway.internal:x":     "! not a URL: its host, its port or a %-escape in it is not well formed; ",
		"https://gateway.internal?x=1":   "! a base URL has a host and a path only, such as " + usual,
		"https://gateway.internal?":      "! a base URL has a host and a path only",
		"https://u:p@gateway.internal":   "! a base URL has a host and a path only",
		"https://gateway.internal#x":     "! a base URL has a host and a path only",
	} {
		base, fault := post.BaseURL(raw, usual)
		if got := base; fault != "" {
			got = "! " + fault
			if !strings.HasPrefix(got, want) || base != "" {
				t.Errorf("%q: got %q %q, want %q", raw, base, fault, want)
			}
		} else if got != want {
			t.Errorf("%q: got %q, want %q", raw, got, want)
		}
	}
}
