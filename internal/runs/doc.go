// Package runs is the long work that a tool call starts and may leave behind: a
// chat reply, a command, the creation of an instance, a transfer of files. It
// has what all kinds of runs share: handles, the registry of what this process
// follows, waiting, reading and cancelling. What a kind does is in a package of
// its own (runs/chat, runs/command, runs/create, transfers), which registers
// with the Manager.
//
// A run has a handle, an opaque string that carries the run's own state, sealed
// with a key derived from the caller's API key. The process that started a run
// follows it live; any other process with the same key, or the same one after a
// restart, takes it up from the handle alone, because the truth is upstream: in
// the session's history, in the command's output files, in the instance's
// status. Nothing is stored.
//
// A handle also says how far its run was read. Reading with it gives what is
// new since, and a new handle that reads on from there; reading twice with one
// handle gives the same again.
package runs
