package post

import (
	"net/url"
	"strings"
)

// BaseURL is the base of a vendor's API without a slash at its end: as an
// operator wrote it, or the usual one where that is empty. The fault says what
// is wrong with it: calls go to https, or by http to this machine, below a
// host and a path.
func BaseURL(raw, usual string) (base, fault string) {
	if raw == "" {
		return usual, ""
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil, u.Host == "", u.Scheme != "https" && u.Scheme != "http":
		return "", "not a URL; leave the key out for " + usual + ", or write one of this form"
	case u.Scheme == "http" && !Loopback(u.Hostname()):
		return "", "http is taken to a loopback address only; use https"
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return "", "a base URL has a host and a path only, such as " + usual
	}
	return strings.TrimRight(u.String(), "/"), ""
}
