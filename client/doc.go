// Package client is a typed Go client of the OpenClaw service ("OpenClaw as a
// Service"): its REST endpoints, its Server-Sent Events streams and the errors
// of both, its terminals and its desktops (internal/rfb is all that it needs of
// this module).
//
// The service's answers are known only in part, so the client is a tolerant
// reader: it sends what is documented and accepts every spelling that the
// service or its relatives are known to use. All of that tolerance lives in
// json.go and decode*.go (bodies), normalise*.go (chat streams) and
// terminal_frames.go, and nowhere else.
package client
