package emulator_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// helperVar makes this test program a server that is going to be killed.
const helperVar = "EMULATOR_TEST_HELPER"

// helper starts processes whose command line holds the variable's value, prints
// a line, and waits to be killed.
func helper() {
	srv, err := emulatortest.New(emulatortest.Options{})
	if err != nil {
		panic(err)
	}
	id, err := srv.AddInstance("k")
	if err != nil {
		panic(err)
	}
	web := httptest.NewServer(srv)
	command := fmt.Sprintf("setsid sleep %[1]s & sleep %[1]s & echo started", os.Getenv(helperVar))
	r, _ := http.NewRequest("POST", web.URL+"/instances/"+id+"/terminal/exec",
		strings.NewReader(toJSON(map[string]any{"command": command})))
	r.Header.Set("Authorization", "Bearer k")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		panic(err)
	}
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(strings.Contains(string(body), "started"), srv.SandboxInfo())
	select {}
}
