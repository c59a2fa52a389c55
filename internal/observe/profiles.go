package observe

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"time"
)

// serveProfiles serves what `go tool pprof` and `go tool trace` read, at the paths
// that they know. net/http/pprof does more, such as differences of profiles, and is
// half a megabyte of the program.
func serveProfiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		for _, p := range pprof.Profiles() {
			_, _ = fmt.Fprintf(w, "%s: %d\n", p.Name(), p.Count())
		}
		_, _ = fmt.Fprintln(w, "profile?seconds=30, trace?seconds=1; ?debug=1 gives the others as text")
	})
	mux.HandleFunc("GET /debug/pprof/{name}", func(w http.ResponseWriter, r *http.Request) {
		p := pprof.Lookup(r.PathValue("name"))
		if p == nil {
			plain(w, http.StatusNotFound, "there is no such profile; /debug/pprof/ lists them")
			return
		}
		debug, _ := strconv.Atoi(r.FormValue("debug"))
		binary(w, debug == 0)
		_ = p.WriteTo(w, debug)
	})
	mux.HandleFunc("GET /debug/pprof/profile", record(30*time.Second, pprof.StartCPUProfile, pprof.StopCPUProfile))
	mux.HandleFunc("GET /debug/pprof/trace", record(time.Second, trace.Start, trace.Stop))
}

// record writes what is noted for as many seconds as the request asks for.
func record(otherwise time.Duration, start func(io.Writer) error, stop func()) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		d := otherwise
		if seconds, err := strconv.ParseFloat(r.FormValue("seconds"), 64); err == nil && seconds > 0 {
			d = time.Duration(seconds * float64(time.Second))
		}
		binary(w, true)
		if err := start(w); err != nil { // somebody else is at it
			w.Header().Del("Content-Disposition")
			plain(w, http.StatusConflict, err.Error())
			return
		}
		defer stop()
		ctx, cancel := context.WithTimeout(r.Context(), d)
		defer cancel()
		<-ctx.Done()
	}
}

func binary(w http.ResponseWriter, yes bool) {
	if !yes {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="profile"`)
}
