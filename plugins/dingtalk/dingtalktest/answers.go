package dingtalktest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/plugintest"
)

// maxParam is the longest msgParam, in bytes, and maxUsers how many users one
// call takes.
const (
	maxParam = 15000
	maxUsers = 20
)

// named is an error of the OpenAPI.
func named(status int, code, message string) http.HandlerFunc {
	return plugintest.Answer(status, fmt.Sprintf(`{"code":%q,"message":%q,"requestid":"D3A2-0001"}`, code, message))
}

// accessToken hands out the same token as long as it works.
func (v *Vendor) accessToken(w http.ResponseWriter, r *http.Request, body []byte) {
	var m struct{ AppKey, AppSecret string }
	switch err := json.Unmarshal(body, &m); {
	case err != nil || !isJSON(r):
		named(http.StatusBadRequest, "invalidParameter", "the body is no JSON")(w, r)
		return
	case m.AppKey != ClientID || m.AppSecret != ClientSecret || v.Revoked():
		named(http.StatusBadRequest, "invalidClientIdOrSecret", "invalid clientId or clientSecret")(w, r)
		return
	}
	plugintest.Answer(http.StatusOK, fmt.Sprintf(`{"accessToken":%q,"expireIn":7200}`, v.Token()))(w, r)
}

// mobile is a person's number without its country.
func mobile(p relay.Person) string {
	return strings.TrimPrefix(strings.NewReplacer(" ", "", "-", "").Replace(p.Phone), "+86")
}

func (v *Vendor) getByMobile(w http.ResponseWriter, r *http.Request, body []byte) {
	answer := func(body string) { plugintest.Answer(http.StatusOK, body)(w, r) }
	if !v.Takes(r.URL.Query().Get("access_token")) {
		answer(`{"errcode":88,"errmsg":"ding talk error","sub_code":"40014","sub_msg":"the access_token is not valid"}`)
		return
	}
	var m struct{ Mobile string }
	switch err := json.Unmarshal(body, &m); {
	case err != nil || !isJSON(r) || m.Mobile == "":
		answer(`{"errcode":400002,"errmsg":"bad parameter: mobile"}`)
		return
	case strings.Trim(m.Mobile, "0123456789") != "":
		answer(`{"errcode":40104,"errmsg":"invalid mobile"}`)
		return
	}
	user := v.Find(func(_ string, p relay.Person) bool { return mobile(p) == m.Mobile })
	if user == "" {
		answer(`{"errcode":60121,"errmsg":"the user is not found","request_id":"r-1"}`)
		return
	}
	answer(fmt.Sprintf(`{"errcode":0,"errmsg":"ok","result":{"userid":%q,"exclusive_account_userid_list":[]},"request_id":"r-1"}`, user))
}

func (v *Vendor) batchSend(w http.ResponseWriter, r *http.Request, body []byte) {
	token := r.Header.Get("x-acs-dingtalk-access-token")
	if code := v.refuseSend(r, token, body); code != "" {
		named(http.StatusBadRequest, code, "refused")(w, r)
		return
	}
	var m struct{ UserIDs []string }
	_ = json.Unmarshal(body, &m) // refuseSend read it
	unknown, shown := []string{}, 0
	for _, user := range m.UserIDs {
		if v.Knows(user) {
			shown = v.Show(plugintest.Sent{User: user, Body: string(body)})
		} else {
			unknown = append(unknown, user)
		}
	}
	v.Wait(r, body)
	list, _ := json.Marshal(unknown) // strings always encode
	plugintest.Answer(http.StatusOK, fmt.Sprintf(`{"processQueryKey":"query-key-%d","invalidStaffIdList":%s,"flowControlledStaffIdList":[],"filteredStaffIdList":[]}`, shown, list))(w, r)
}

// refuseSend is the name of what is wrong with a message, or "".
func (v *Vendor) refuseSend(r *http.Request, token string, body []byte) string {
	switch {
	case token == "":
		return "AuthenticationFailed.MissingParameter"
	case !v.Takes(token):
		return "InvalidAuthentication"
	}
	var m struct {
		RobotCode string
		UserIDs   []string
		Key       string  `json:"msgKey"`
		Param     *string `json:"msgParam"`
	}
	if json.Unmarshal(body, &m) != nil || !isJSON(r) || m.Param == nil { // also where msgParam is no string
		return "invalidParameter.param.invalid"
	}
	var param map[string]any
	needed, known := required()[m.Key]
	switch {
	case m.RobotCode == "":
		return "invalidParameter.robotCode.empty"
	case m.RobotCode != RobotCode:
		return "invalidParameter.robotCode.notExsit"
	case len(m.UserIDs) == 0:
		return "invalidParameter.userIds.empty"
	case len(m.UserIDs) > maxUsers:
		return "invalidParameter.userIds.overMax"
	case slices.Contains(m.UserIDs, ""):
		return "invalidParameter.userId.empty"
	case m.Key == "":
		return "invalidParameter.msgKey.empty"
	case !known:
		return "invalidParameter.msgKey.invalid"
	case len(*m.Param) > maxParam:
		return "invalidParameter.msgParam.tooLong"
	case json.Unmarshal([]byte(*m.Param), &param) != nil:
		return "invalidParameter.msgParam.invalid"
	}
	for _, key := range needed {
		if s, ok := param[key].(string); !ok || s == "" {
			return "miss.param." + key
		}
	}
	return ""
}

// required are the texts that the kinds of messages need.
func required() map[string][]string {
	kinds := map[string]string{
		"sampleText":        "content",
		"sampleMarkdown":    "title text",
		"sampleImageMsg":    "photoURL",
		"sampleLink":        "title text messageUrl",
		"sampleActionCard":  "title text singleTitle singleURL",
		"sampleActionCard2": "title text actionTitle1 actionURL1 actionTitle2 actionURL2",
		"sampleActionCard3": "title text actionTitle1 actionURL1 actionTitle2 actionURL2 actionTitle3 actionURL3",
		"sampleActionCard4": "title text actionTitle1 actionURL1 actionTitle2 actionURL2 actionTitle3 actionURL3 actionTitle4 actionURL4",
		"sampleActionCard5": "title text actionTitle1 actionURL1 actionTitle2 actionURL2 actionTitle3 actionURL3 actionTitle4 actionURL4 actionTitle5 actionURL5",
		"sampleActionCard6": "title text buttonTitle1 buttonUrl1 buttonTitle2 buttonUrl2",
		"sampleAudio":       "mediaId",
		"sampleFile":        "mediaId fileName fileType",
	}
	all := map[string][]string{}
	for kind, keys := range kinds {
		all[kind] = strings.Fields(keys)
	}
	return all
}

// robotSend shows a message once for each msgUuid.
func (v *Vendor) robotSend(w http.ResponseWriter, r *http.Request, body []byte) {
	var m struct {
		UUID string `json:"msgUuid"`
		Type string `json:"msgtype"`
	}
	switch err := json.Unmarshal(body, &m); {
	case r.URL.Query().Get("access_token") != RobotToken:
		plugintest.Answer(http.StatusOK, `{"errcode":300005,"errmsg":"token is not exist"}`)(w, r)
		return
	case err != nil || !isJSON(r):
		plugintest.Answer(http.StatusOK, `{"errcode":40035,"errmsg":"the JSON cannot be read"}`)(w, r)
		return
	case !slices.Contains([]string{"text", "link", "markdown", "actionCard", "feedCard"}, m.Type):
		plugintest.Answer(http.StatusOK, `{"errcode":400105,"errmsg":"unsupported msgtype"}`)(w, r)
		return
	}
	v.mu.Lock()
	if m.UUID == "" || !v.seen[m.UUID] {
		v.Show(plugintest.Sent{Body: string(body)})
	}
	v.seen[m.UUID] = true
	v.mu.Unlock()
	plugintest.Answer(http.StatusOK, `{"errcode":0,"errmsg":"ok"}`)(w, r)
}

func isJSON(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/json")
}
