package custom

import (
	"encoding/json"
	"strings"

	"github.com/relay-sidecar/relay"
	"github.com/relay-sidecar/relay/plugin/post"
)

// activity is the body of the API definition, its keys in the definition's
// order. Ids are numbers or strings, as the sender wrote them.
type activity struct {
	Level        string           `json:"level"`
	ActivityType string           `json:"activity_type"`
	Title        string           `json:"title"`
	Description  string           `json:"description"`
	Link         string           `json:"link"`
	CreatorID    any              `json:"creator_id"`
	CreatorName  string           `json:"creator_name"`
	CreatedTS    int64            `json:"created_ts"`
	Issue        *activityIssue   `json:"issue"`
	Project      *activityProject `json:"project"`
}

type activityIssue struct {
	ID          relay.ID `json:"id,omitzero"`
	Name        string   `json:"name"`
	Status      string   `json:"status"`
	Type        string   `json:"type"`
	Description string   `json:"description,omitempty"`
}

type activityProject struct {
	ID   relay.ID `json:"id,omitzero"`
	Name string   `json:"name"`
}

// activityType is the definition's name of a catalogue type; any other type
// stays as it is.
func activityType(eventType string) string {
	switch eventType {
	case "issue.created":
		return "bb.issue.create"
	case "issue.updated":
		return "bb.issue.field.update"
	case "issue.status_changed":
		return "bb.issue.status.update"
	case "issue.comment_created":
		return "bb.issue.comment.create"
	case "stage.status_changed":
		return "bb.pipeline.stage.status.update"
	case "task.status_changed":
		return "bb.pipeline.task.status.update"
	case "issue.approval_requested":
		return "bb.issue.approval.notify"
	case "issue.approved":
		return "bb.notify.issue.approved"
	case "issue.rollout_requested":
		return "bb.notify.pipeline.rollout"
	}
	return eventType
}

// bytebaseBody makes the body of an event, with what the template made in place
// of the event's own words.
func bytebaseBody(raw json.RawMessage, made relay.Rendered) ([]byte, error) {
	var e relay.Event
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, err
	}
	link := e.Link
	if link == "" { // a source keeps there what its sender called a link and is no URL
		_ = json.Unmarshal(e.Data["link"], &link)
	}
	own := words{Title: e.Title, Description: e.Description, Level: e.Level, Link: e.Link}
	changed := own.replaced(made)
	if changed.Link != own.Link {
		link = changed.Link
	}
	a := activity{
		Level:        strings.ToUpper(string(changed.Level)),
		ActivityType: activityType(e.Type),
		Title:        changed.Title,
		Description:  changed.Description,
		Link:         link,
		CreatorID:    0, // the definition asks for a number
		CreatedTS:    e.Time.Unix(),
	}
	if e.Actor != nil {
		a.CreatorName = e.Actor.Name
		if !e.Actor.ID.IsZero() {
			a.CreatorID = e.Actor.ID
		}
	}
	if i := e.Issue; i != nil {
		a.Issue = &activityIssue{ID: i.ID, Name: i.Name, Status: i.Status, Type: i.Type, Description: i.Description}
	}
	if p := e.Project; p != nil {
		a.Project = &activityProject{ID: p.ID, Name: p.Name}
	}
	return post.Encode(a)
}
