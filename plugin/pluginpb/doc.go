// Package pluginpb is the plugin protocol's wire form, generated from
// provider.proto, which is written to be read alone.
package pluginpb

import _ "embed"

//go:generate sh -c "protoc -I . --plugin=protoc-gen-go=$(go tool -n protoc-gen-go) --plugin=protoc-gen-go-grpc=$(go tool -n protoc-gen-go-grpc) --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative provider.proto"

// Source is provider.proto itself, for who makes code of it elsewhere.
//
//go:embed provider.proto
var Source string
