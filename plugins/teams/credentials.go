package teams

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/relay-sidecar/relay/plugin"
	"github.com/relay-sidecar/relay/plugin/post"
)

// The public cloud. Those of governments have hosts of their own.
const (
	loginBase  = "https://login.microsoftonline.com"
	graphBase  = "https://graph.microsoft.com/v1.0"
	serviceURL = "https://smba.trafficmanager.net/teams"
)

// credentials are the keys of an entry of `providers`: an Entra app with a bot.
type credentials struct {
	TenantID     string `json:"tenant_id"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	AppID        string `json:"app_id"`
	LoginBase    string `json:"login_base"`
	GraphBase    string `json:"graph_base"`
	ServiceURL   string `json:"service_url"`
}

const providerSchema = `{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "tenant_id": {
      "type": "string",
      "minLength": 1,
      "description": "the directory (tenant) ID of the Entra app, or a domain of the tenant such as contoso.onmicrosoft.com"
    },
    "client_id": {
      "type": "string",
      "minLength": 1,
      "description": "the application (client) ID of the Entra app that the bot has"
    },
    "client_secret": {
      "type": "string",
      "minLength": 1,
      "writeOnly": true,
      "description": "the Value (not the ID) of a client secret of the Entra app"
    },
    "app_id": {
      "type": "string",
      "minLength": 1,
      "description": "the id in the manifest of the Teams app; default: client_id, which many manifests use"
    },
    "login_base": {
      "type": "string",
      "minLength": 1,
      "default": "https://login.microsoftonline.com",
      "description": "the base URL of the sign-in service; in US government clouds https://login.microsoftonline.us"
    },
    "graph_base": {
      "type": "string",
      "minLength": 1,
      "default": "https://graph.microsoft.com/v1.0",
      "description": "the base URL of Microsoft Graph; in US government clouds https://graph.microsoft.us/v1.0"
    },
    "service_url": {
      "type": "string",
      "minLength": 1,
      "default": "https://smba.trafficmanager.net/teams",
      "description": "the base URL of the Bot Framework connector; GCC: https://smba.infra.gcc.teams.microsoft.com/gcc, GCC High: https://smba.infra.gov.teams.microsoft.us/gcch"
    }
  }
}`

// howToBot is what a bot needs.
const howToBot = "set tenant_id, client_id and client_secret of an Entra app with a bot, which has the application permissions " + allPermissions

// objectID is how Entra writes ids.
var objectID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// tenantDomain is the other way to name a tenant. A word without a dot, such as
// "common", names no tenant, and an app signs in to one.
var tenantDomain = regexp.MustCompile(`^[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)+$`)

// check fills in defaults. Its problems are faults, or the one warning that
// there are no credentials.
func (c *credentials) check() []plugin.Problem {
	var problems []plugin.Problem
	problem := func(key, message string) {
		problems = append(problems, plugin.Problem{Provider: true, Pointer: "/" + key, Message: message})
	}
	for _, base := range []struct {
		key   string
		value *string
		usual string
	}{{"login_base", &c.LoginBase, loginBase}, {"graph_base", &c.GraphBase, graphBase}, {"service_url", &c.ServiceURL, serviceURL}} {
		var fault string
		if *base.value, fault = post.BaseURL(*base.value, base.usual); fault != "" {
			problem(base.key, fault)
		}
	}
	if c.empty() {
		return append(problems, plugin.Problem{Provider: true, Pointer: "/tenant_id", Warning: true,
			Message: "there are no credentials for direct messages; " + howToBot + ", or direct_message_url of the destination"})
	}
	for _, credential := range []struct {
		key, value, what string
		good             bool
	}{
		{"tenant_id", c.TenantID, "the directory (tenant) ID of the Entra app, a GUID, or a domain of the tenant", objectID.MatchString(c.TenantID) || tenantDomain.MatchString(c.TenantID)},
		{"client_id", c.ClientID, "the application (client) ID of the Entra app, a GUID", objectID.MatchString(c.ClientID)},
		{"client_secret", c.ClientSecret, "the Value of a client secret of the Entra app, not its ID, which is a GUID",
			!objectID.MatchString(c.ClientSecret) && !strings.ContainsFunc(c.ClientSecret, notInSecrets)},
		{"app_id", c.AppID, "the id in the manifest of the Teams app, a GUID", c.AppID == "" || objectID.MatchString(c.AppID)},
	} {
		switch {
		case credential.value == "" && credential.key != "app_id":
			problem(credential.key, credential.key+" is missing; direct messages by bot need it: "+credential.what)
		case !credential.good:
			problem(credential.key, "not "+credential.what)
		}
	}
	if c.AppID == "" {
		c.AppID = c.ClientID
	}
	return problems
}

// empty reports whether there is no bot.
func (c *credentials) empty() bool {
	return c.TenantID == "" && c.ClientID == "" && c.ClientSecret == ""
}

func notInSecrets(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// graphItself is how Graph calls itself, in the scope of tokens and in bodies:
// as graph_base does, unless that is a test's stand-in for the public cloud.
func (c *credentials) graphItself() string {
	if u, err := url.Parse(c.GraphBase); err != nil || post.Loopback(u.Hostname()) {
		return graphBase
	}
	return c.GraphBase
}

// graphScope asks for all application permissions at Graph.
func (c *credentials) graphScope() string {
	u, _ := url.Parse(c.graphItself()) // was checked
	return u.Scheme + "://" + u.Host + "/.default"
}

// botScope asks for a token that the connector takes. In the clouds of the US
// government but GCC, whose hosts end in .us, it is another one: so do
// Microsoft's own SDKs (botbuilder-js, governmentConstants; teams.ts,
// US_GOV.botScope). Nobody has tried it with relay.
func (c *credentials) botScope() string {
	if u, err := url.Parse(c.ServiceURL); err == nil && strings.HasSuffix(strings.ToLower(u.Hostname()), ".us") {
		return "https://api.botframework.us/.default"
	}
	return "https://api.botframework.com/.default"
}

// key names everything that tells one account from another.
func (c *credentials) key() string {
	return strings.Join([]string{"bot", c.TenantID, c.ClientID, c.ClientSecret, c.AppID, c.LoginBase, c.GraphBase, c.ServiceURL}, " ")
}
