package emulatortest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
)

// Cutting is a service that returns no more than so much of an output: the beginning, or the
// middle left out with a remark. It does not say that it cut.
func Cutting(most int, remark string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "/terminal/exec") {
				next.ServeHTTP(w, r)
				return
			}
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			body := rec.Body.Bytes()
			var answer map[string]any
			if json.Unmarshal(body, &answer) == nil {
				if out, _ := answer["stdout"].(string); len(out) > most {
					tail := ""
					if remark != "" {
						tail = remark + out[len(out)-most/2:]
					}
					answer["stdout"] = out[:most-len(tail)] + tail
					body, _ = json.Marshal(answer)
				}
			}
			w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
			w.WriteHeader(rec.Code)
			_, _ = bytes.NewReader(body).WriteTo(w)
		})
	}
}
