// Command bare is the least MCP server that mcp-go makes: one tool with a fixed
// answer, on stdio or streamable HTTP. The benchmarks run it beside openclaw-mcp.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}

// run serves stdio, or HTTP after the arguments --http ADDR.
func run(args []string) error {
	s := server.NewMCPServer("bare", "1", server.WithToolCapabilities(false))
	// The name of the tool is openclaw-mcp's, so that both get the same requests.
	tool := mcp.NewTool("list_runs", mcp.WithDescription("List the runs."))
	s.AddTool(tool, func(context.Context, mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return mcp.NewToolResultText("There are no runs."), nil
	})
	if len(args) != 2 || args[0] != "--http" {
		return server.ServeStdio(s)
	}
	ln, err := net.Listen("tcp", args[1])
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "serving http://%s/mcp\n", ln.Addr())
	return http.Serve(ln, server.NewStreamableHTTPServer(s))
}
