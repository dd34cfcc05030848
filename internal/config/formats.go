package config

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"math"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/relay-sidecar/relay"
)

// misfit says why a text has not the form that it should have. Neither part
// repeats the text, except quoting, which is for text that may be shown.
type misfit struct {
	what    string // such as "is not a duration"
	fix     string // such as "write 30s, 24h or 30d"
	quoting string // a better fix that repeats the text
}

func (m *misfit) Error() string { return m.what + "; " + m.fix }

// formats are relay's own schema formats. A check returns nil for a good text.
func formats() map[string]func(string) error {
	return map[string]func(string) error{
		"relay-duration": check(ParseDuration),
		"relay-timeout":  check(parseTimeout),
		"relay-size":     check(ParseSize),
		"relay-rate":     check(parseRate),
		"relay-listen":   check(ParseListen),
		"relay-mode":     check(parseMode),
		"relay-zone":     check(parseZone),
		"relay-template": check(parseTemplate),
		"relay-source":   check(parseSource),
		"relay-whsec":    check(ParseWebhookSecret),
		"relay-url":      check(parseURL),
		"relay-network":  check(parseNetwork),
	}
}

func check[T any](parse func(string) (T, error)) func(string) error {
	return func(text string) error {
		_, err := parse(text)
		return err
	}
}

// The remedies, which editors show, too.
const (
	durationFix = "write a number and ms, s, m, h or d, such as 30s, 24h or 30d"
	sizeFix     = "write a number and KiB, MiB or GiB, such as 64KiB, or plain bytes"
	rateFix     = "write a number and s, m or h, such as 1/s or 20/m"
	listenFix   = "write host:port, such as 127.0.0.1:8750, or unix:///path"
	modeFix     = "write it in octal, such as 0660"
	zoneFix     = "write an IANA name, such as Asia/Shanghai or UTC"
	templateFix = "name a .ts or .js file, such as issue/approval.ts"
	sourceFix   = "write its path below the templates directory, such as sources/github.ts"
	whsecFix    = "write whsec_ and the base64 of 24 to 64 bytes, as the sender shows it"
	urlFix      = "write one that begins with https://"
	networkFix  = "write an address and the length of its prefix, such as 169.254.10.0/24"
)

// ParseDuration reads durations such as 250ms, 30s, 1h30m and 30d (of 24 hours each); 0 needs no unit.
func ParseDuration(text string) (time.Duration, error) {
	units := map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	if text == "0" {
		return 0, nil
	}
	if integer.MatchString(text) && text[0] != '-' {
		return 0, &misfit{"is not a duration", durationFix, "write " + text + "s"}
	}
	bad := &misfit{what: "is not a duration", fix: durationFix}
	total, rest := 0.0, text
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789."))
		after := rest[digits:]
		letters := len(after) - len(strings.TrimLeft(after, "abcdefghijklmnopqrstuvwxyz"))
		n, err := strconv.ParseFloat(rest[:digits], 64)
		unit := units[after[:letters]]
		if err != nil || unit == 0 {
			return 0, bad
		}
		total += n * float64(unit)
		rest = after[letters:]
	}
	if text == "" {
		return 0, bad
	}
	if total > float64(math.MaxInt64/2) {
		return 0, &misfit{what: "is too long a duration", fix: "write at most 50000d"}
	}
	return time.Duration(total), nil
}

// FormatDuration writes a duration as ParseDuration reads it, without parts that
// are zero.
func FormatDuration(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = strings.TrimSuffix(text, zero[1:])
		}
	}
	return text
}

func parseTimeout(text string) (time.Duration, error) {
	d, err := ParseDuration(text)
	if err == nil && d <= 0 {
		return 0, &misfit{what: "is too short", fix: "write more than 0s"}
	}
	return d, err
}

// ParseSize reads sizes such as 1MiB, 64KiB, 10GiB or a plain number of bytes.
func ParseSize(text string) (int64, error) {
	digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
	shift, known := map[string]int{"": 0, "B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}[text[digits:]]
	n, err := strconv.ParseInt(text[:digits], 10, 64)
	switch {
	case err != nil || !known:
		bad := &misfit{what: "is not a size", fix: sizeFix}
		if unit := strings.ToUpper(text[digits:]); err == nil && len(unit) <= 2 && strings.Contains("KMGT", unit[:1]) && strings.HasSuffix("B", unit[1:]) {
			bad.quoting = "write " + text[:digits] + unit[:1] + "iB"
		}
		return 0, bad
	case n == 0:
		return 0, &misfit{what: "is too small", fix: "write at least 1"}
	case n > math.MaxInt64>>shift:
		return 0, &misfit{what: "is too large a size", fix: "write at most 1024TiB"}
	}
	return n << shift, nil
}

func parseRate(text string) (relay.Rate, error) {
	r, err := relay.ParseRate(text)
	if err != nil || text == "" {
		return r, &misfit{what: "is not a rate", fix: rateFix}
	}
	return r, nil
}

// Listen is an address that relay listens on.
type Listen struct{ Network, Address string } // tcp and host:port, or unix and a path

// maxSocketPath is what the kernel takes on macOS; Linux takes four more.
const maxSocketPath = 103

// ParseListen reads host:port or unix:///path.
func ParseListen(text string) (Listen, error) {
	bad := &misfit{what: "is not an address to listen on", fix: listenFix}
	if socket, ok := strings.CutPrefix(text, "unix://"); ok {
		if !path.IsAbs(socket) {
			return Listen{}, &misfit{what: "is not the path of a socket", fix: "write it whole, with three slashes, such as unix:///run/relay/relay.sock"}
		}
		if len(socket) > maxSocketPath {
			return Listen{}, &misfit{what: "is too long for a socket", fix: fmt.Sprintf("use a path of at most %d bytes", maxSocketPath)}
		}
		return Listen{"unix", socket}, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		if _, portErr := strconv.ParseUint(text, 10, 16); portErr == nil {
			bad.quoting = "write 127.0.0.1:" + text
		}
		return Listen{}, bad
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return Listen{}, &misfit{what: "has no good port", fix: "write a number from 0 to 65535 behind the colon"}
	}
	if strings.ContainsAny(host, "/@ ") {
		return Listen{}, bad
	}
	return Listen{"tcp", net.JoinHostPort(host, port)}, nil
}

// Loopback tells whether only this machine can reach the address: a Unix
// socket, 127.0.0.0/8, ::1 or localhost.
func (l Listen) Loopback() bool {
	if l.Network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(l.Address)
	return err == nil && loopback(host)
}

// String is the address as relay.yaml has it.
func (l Listen) String() string {
	if l.Network == "unix" {
		return "unix://" + l.Address
	}
	return l.Address
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

func parseMode(text string) (fs.FileMode, error) {
	mode, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 32)
	if err != nil || mode > 0o777 {
		return 0, &misfit{what: "is not a file mode", fix: modeFix}
	}
	return fs.FileMode(mode), nil
}

// parseZone knows "Local" as relay's own zone, which is the empty name.
func parseZone(text string) (string, error) {
	if text == "Local" {
		return "", nil
	}
	if _, err := time.LoadLocation(text); err != nil || text == "" {
		return "", &misfit{what: "is not a time zone", fix: zoneFix}
	}
	return text, nil
}

// parseTemplate keeps a template below the templates directory.
func parseTemplate(text string) (string, error) {
	clean := path.Clean(text)
	if text == "" || path.IsAbs(clean) || !fs.ValidPath(clean) || clean == "." || strings.Contains(text, `\`) {
		return "", &misfit{what: "is not a file below the templates directory", fix: "write its path from there, such as issue/approval.ts"}
	}
	if extension := path.Ext(clean); extension != ".ts" && extension != ".js" {
		return "", &misfit{what: "is not a template", fix: templateFix}
	}
	return clean, nil
}

// parseSource keeps a source script among the sources.
func parseSource(text string) (string, error) {
	const directory = "sources/"
	name, err := parseTemplate(text)
	if err != nil || !strings.HasPrefix(name, directory) {
		return "", &misfit{what: "is not a source script", fix: sourceFix}
	}
	return name, nil
}

// ParseWebhookSecret is the key of a Standard Webhooks secret: whsec_ and the
// base64 of 24 to 64 bytes.
func ParseWebhookSecret(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, &misfit{what: "is not a Standard Webhooks secret", fix: whsecFix}
	}
	return key, nil
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return nil, &misfit{what: "is empty", fix: "write an https URL"}
	case strings.ContainsAny(text, " \t\r\n"):
		return nil, &misfit{what: "has blanks before, in or behind it", fix: "take them out, or write %20"}
	case err != nil:
		return nil, &misfit{what: "is not a URL", fix: urlFix}
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, &misfit{what: "is not an https URL", fix: urlFix}
	case u.Hostname() == "":
		return nil, &misfit{what: "has no host", fix: "write https:// and the host behind it"}
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, &misfit{what: "has no good port", fix: "write a number from 1 to 65535 behind the colon"}
		}
	}
	return u, nil
}

// parseNetwork reads a network, or an address as the network of it alone.
func parseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return network, &misfit{what: "is not a network", fix: networkFix}
	}
	return network.Masked(), nil
}
