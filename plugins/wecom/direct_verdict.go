package wecom

import "github.com/relay-sidecar/relay"

// Codes that more is done about than to report them.
const (
	codeBadSecret     = 40001
	codeBadCorp       = 40013
	codeInvalidSecret = 40091

	codeNoToken      = 41001
	codeBadToken     = 40014
	codeTokenExpired = 42001

	codeTooFast  = 45009
	codeNotFound = 46004
	codeNoRight  = 60011
)

// appCodes is what WeCom's errcode means for an app (90236, 90313). A person
// whom a look-up does not find counts as refused here.
func appCodes() map[int64]meaning {
	all := messageCodes()
	all[codeTooFast] = meaning{verdict: relay.Temporary, words: "too many calls, or the app used up its messages of the day", wait: blocked}
	for words, list := range map[string][]int64{
		"corp_id is not a company's id":                                   {codeBadCorp},
		"the secret is not good; copy the app's Secret to secret":         {codeBadSecret, codeInvalidSecret},
		"the call lacks a credential":                                     {41002, 41004},
		"the credentials are not taken":                                   {2000002}, // what WeCom says of it is not documented
		"agent_id is not the app that secret belongs to":                  {40056, 41011, 301002},
		"the app may not use this call, or it or its company is disabled": {48001, 48002, 48004, 48006, 60031, 50003, 50006, 301007, 43009},
		"relay's IP address, which the log shows, is not among the app's trusted ones; add it to Trusted IP (企业可信IP) in the admin console": {60020},
		"the company used up its quota of accounts":        {45024},
		"the access token is not taken, nor was a new one": {codeNoToken, codeBadToken, codeTokenExpired},
	} {
		for _, code := range list {
			all[code] = meaning{verdict: relay.DestinationRefused, words: words}
		}
	}
	for words, list := range map[string][]int64{
		"there is no such member":                       {40003, 40031, codeNotFound, 60111},
		"the member is outside the app's visible range": {codeNoRight, 50002, 60021, 81013},
		"the member did not join":                       {43004},
		"the member has no licence for the app":         {701008, 701099},
		"the phone number is not one":                   {60103},
		"the email is not one":                          {60105},
		"the member cannot be looked up":                {60146, 60147, 60148}, // in the table of misses without words
	} {
		for _, code := range list {
			all[code] = meaning{verdict: relay.RecipientRefused, words: words}
		}
	}
	for words, list := range map[string][]int64{
		"nobody is named as its recipient": {82001},
		"it has too many recipients":       {40032, 82002, 82003},
	} {
		for _, code := range list {
			all[code] = meaning{verdict: relay.MessageRefused, words: words}
		}
	}
	return all
}
