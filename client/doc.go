// Package client is a typed Go client of the OpenClaw service ("OpenClaw as a
// Service"): its REST endpoints, its Server-Sent Events streams and the errors
// of both. It depends on nothing else in this module.
//
// The service's answers are known only in part, so the client is a tolerant
// reader: it sends what is documented and accepts every spelling that the
// service or its relatives are known to use. All of that tolerance lives in
// decode*.go (bodies) and normalise*.go (chat streams) and nowhere else.
package client
