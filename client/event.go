package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Event is what an app hands over. Type and Title are required.
type Event struct {
	ID          string         `json:"id"`               // accepted once; empty: a random one
	Type        string         `json:"type"`             // such as order.placed
	Source      string         `json:"source,omitempty"` // the app; empty: relay's own word
	Time        time.Time      `json:"time"`             // zero: now
	Level       string         `json:"level,omitempty"`  // info, success, warn or error; empty: info
	Title       string         `json:"title"`
	Description string         `json:"description,omitempty"` // Markdown
	Link        string         `json:"link,omitempty"`        // http or https
	Actor       *Person        `json:"actor,omitempty"`
	Project     *Project       `json:"project,omitempty"`
	Issue       *Issue         `json:"issue,omitempty"`
	Recipients  []Person       `json:"recipients,omitempty"`
	Data        map[string]any `json:"data,omitempty"` // whatever else templates should see
}

// Person is an actor or a recipient. IDs in events are numbers or strings.
type Person struct {
	ID    any               `json:"id,omitempty"`
	Name  string            `json:"name,omitempty"`
	Email string            `json:"email,omitempty"`
	Phone string            `json:"phone,omitempty"` // E.164
	IDs   map[string]string `json:"ids,omitempty"`   // by provider
}

// Project is what an event belongs to.
type Project struct {
	ID   any    `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// Issue is what an event is about.
type Issue struct {
	ID          any    `json:"id,omitempty"`
	Name        string `json:"name,omitempty"`
	Status      string `json:"status,omitempty"`
	Type        string `json:"type,omitempty"`
	Description string `json:"description,omitempty"`
}

// Accepted is relay's answer to an event that is on its disk.
type Accepted struct {
	ID         string `json:"id"` // relay's own id of the event
	Deliveries int    `json:"deliveries"`
	Duplicate  bool   `json:"duplicate"` // it was accepted before
}

// Error is relay's refusal of an event.
type Error struct {
	Status int     `json:"-"` // of HTTP
	Detail string  `json:"detail"`
	Faults []Fault `json:"errors"`
}

// Fault is one thing that is wrong with an event.
type Fault struct {
	Path    string `json:"path"` // such as $.title
	Message string `json:"message"`
}

func (e *Error) Error() string { return fmt.Sprintf("relay answered %d: %s", e.Status, e.Detail) }

// refusal reads an error answer, which may be another server's.
func refusal(status int, answer []byte) *Error {
	e := &Error{}
	if json.Unmarshal(answer, e) != nil || e.Detail == "" {
		e = &Error{Detail: http.StatusText(status)}
	}
	e.Status = status
	return e
}
