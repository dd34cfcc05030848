package wecom

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// account are the keys of an entry of `providers`: a self-built app of a
// company, which reaches the company's members.
type account struct {
	CorpID    string  `json:"corp_id"`
	AgentID   agentID `json:"agent_id"`
	Secret    string  `json:"secret"`
	EmailType int     `json:"email_type"`
	APIBase   string  `json:"api_base"`
}

// agentID is a number, which may be written in a string. Apps count from 1.
type agentID int64

// UnmarshalJSON implements [json.Unmarshaler].
func (a *agentID) UnmarshalJSON(b []byte) error {
	n, ok := number(b)
	if !ok || n < 1 {
		return errors.New("agent_id is not a number such as 1000002")
	}
	*a = agentID(n)
	return nil
}

const (
	defaultBase = "https://qyapi.weixin.qq.com"

	// What get_userid_by_email calls the two addresses that a member has (95895).
	enterpriseMailbox = 1
	personalMailbox   = 2
)

const providerSchema = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "corp_id": {
      "type": "string",
      "minLength": 1,
      "description": "the company's id (企业ID), such as ww0123456789abcdef: My Company › Company Information in the admin console"
    },
    "agent_id": {
      "type": ["integer", "string"],
      "minimum": 1,
      "pattern": "^[1-9][0-9]*$",
      "description": "the AgentId of the self-built app (自建应用) that direct messages come from, such as 1000002"
    },
    "secret": {
      "type": "string",
      "minLength": 1,
      "writeOnly": true,
      "description": "the Secret of that app"
    },
    "email_type": {
      "type": "integer",
      "enum": [1, 2],
      "default": 1,
      "description": "which address people are looked up by: 1, the enterprise mailbox (企业邮箱), or 2, the personal one (邮箱)"
    },
    "api_base": {
      "type": "string",
      "minLength": 1,
      "default": "https://qyapi.weixin.qq.com",
      "description": "the base URL of the server API, for a private deployment or a gateway"
    }
  }
}`

// readAccount is the account of an entry, or why there is none. A fault's
// message never holds a value.
func readAccount(raw json.RawMessage) (*account, []plugin.Problem) {
	a := account{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &a); err != nil {
			return nil, []plugin.Problem{{Provider: true, Message: "the settings cannot be read: " + err.Error()}}
		}
	}
	var problems []plugin.Problem
	fault := func(key, message string) {
		problems = append(problems, plugin.Problem{Provider: true, Pointer: "/" + key, Message: message})
	}
	if a.EmailType == 0 {
		a.EmailType = enterpriseMailbox
	}
	base, why := post.BaseURL(a.APIBase, defaultBase)
	if strings.HasSuffix(base, "/cgi-bin") {
		why = "leave out /cgi-bin; relay adds the path of each call"
	}
	if why != "" {
		fault("api_base", why)
	}
	a.APIBase = base
	if a.CorpID == "" && a.AgentID == 0 && a.Secret == "" {
		return nil, append(problems, plugin.Problem{Provider: true, Pointer: "/corp_id", Warning: true,
			Message: "there are no credentials for direct messages; set corp_id, agent_id and secret of a self-built app whose visible range has the members"})
	}
	switch {
	case a.CorpID == "":
		fault("corp_id", "corp_id is missing; copy 企业ID from My Company › Company Information in the admin console")
	case odd(a.CorpID):
		fault("corp_id", "corp_id holds a space or another character that no id has; copy 企业ID anew")
	}
	if a.AgentID == 0 {
		fault("agent_id", "agent_id is missing; copy AgentId from the self-built app's page in the admin console")
	}
	switch {
	case a.Secret == "":
		fault("secret", "secret is missing; copy Secret from the self-built app's page in the admin console")
	case odd(a.Secret):
		fault("secret", "secret holds a space or another character that no secret has; copy the app's Secret anew")
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return &a, nil
}

// odd finds what was copied along with a credential.
func odd(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII || r <= ' ' || r == 0x7F })
}

// key names the account: whose credentials they are, and whom they know.
func (a *account) key() string {
	return fmt.Sprintf("wecom app %s %s %d %d %s", a.APIBase, a.CorpID, a.AgentID, a.EmailType, a.Secret)
}

// endpoint is the URL of a call with its query.
func (a *account) endpoint(call string, query url.Values) string {
	return a.APIBase + "/cgi-bin/" + call + "?" + query.Encode()
}
