// Package node holds what every plugin in JavaScript begins with: the side that
// faces relay. `relay plugin new --lang node` writes it into new projects.
package node

import _ "embed"

// Relay is relay.js: the handshake, the service, the log, secrets and the end.
//
//go:embed relay.js
var Relay string

// Build is build.js: it makes one executable of a plugin.
//
//go:embed build.js
var Build string

// Lock is the package-lock.json that goes with them.
//
//go:embed package-lock.json
var Lock string
