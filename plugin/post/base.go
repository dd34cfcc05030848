package post

import (
	"net/url"
	"strconv"
	"strings"
	"unicode"
)

// URL reads an http or https URL that an operator wrote. Why says what keeps it
// from being one, without repeating it; empty: nothing does.
func URL(raw string) (u *url.URL, why string) {
	u, err := url.Parse(raw)
	switch {
	case strings.ContainsFunc(raw, unicode.IsSpace):
		return nil, "not a URL, since it has blanks before, in or behind it"
	case err != nil && !strings.Contains(raw, "://"), err == nil && (u.Scheme == "" || u.Host == "" && u.Opaque != ""):
		return nil, "not a URL, since it does not begin with https://"
	case err != nil:
		return nil, "not a URL: its host, its port or a %-escape in it is not well formed"
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, "not a URL that relay can call: it does not begin with https://"
	case u.Hostname() == "":
		return nil, "not a URL, since there is no host behind the https://"
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, "not a URL, since its port is not a number from 1 to 65535"
		}
	}
	return u, ""
}

// BaseURL is the base of a vendor's API without a slash at its end: as an
// operator wrote it, or the usual one where that is empty. The fault says what
// is wrong with it: calls go to https, or by http to this machine, below a
// host and a path.
func BaseURL(raw, usual string) (base, fault string) {
	if raw == "" {
		return usual, ""
	}
	u, why := URL(raw)
	switch {
	case why != "":
		return "", why + "; leave the key out for " + usual + ", or write one of this form"
	case u.Scheme == "http" && !Loopback(u.Hostname()):
		return "", "http is taken to a loopback address only; use https"
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return "", "a base URL has a host and a path only, such as " + usual
	}
	return strings.TrimRight(u.String(), "/"), ""
}
