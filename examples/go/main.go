// A pipeline in Go, with the official SDK, over stdio: it starts the server itself.
// It puts a file on the instance, adds it up there, and asks the agent about it.
//
//	go run . -server 'openclaw-mcp --local' 'Which region sold most?'
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	sales = "region,amount\nnorth,120\nsouth,80\nnorth,45\n"
	total = `awk -F, 'NR > 1 { sum[$1] += $2 } END { for (r in sum) print r, sum[r] }' sales.csv | sort`
)

func main() {
	server := flag.String("server", "openclaw-mcp", "command that starts the server")
	flag.Parse()
	question := "Read sales.csv. Which region sold most? Answer in one sentence."
	if flag.NArg() > 0 {
		question = flag.Arg(0)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, strings.Fields(*server), question)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pipeline:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, server []string, question string) (err error) {
	client := mcp.NewClient(&mcp.Implementation{Name: "pipeline", Version: "1"}, &mcp.ClientOptions{
		// Each notification has exactly the text that is new.
		ProgressNotificationHandler: func(_ context.Context, n *mcp.ProgressNotificationClientRequest) {
			if text, ok := n.Params.Meta["openclaw-mcp/text"].(string); ok {
				fmt.Fprint(os.Stderr, text)
			}
		},
	})
	command := exec.Command(server[0], server[1:]...)
	command.Stderr = os.Stderr
	session, err := client.Connect(ctx, &mcp.CommandTransport{Command: command}, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, session.Close()) }()

	if _, _, err := call(ctx, session, "write_file", map[string]any{"path": "/workspace/sales.csv", "content": sales}); err != nil {
		return err
	}
	totals, facts, err := call(ctx, session, "exec_command", map[string]any{"command": total, "cwd": "/workspace"})
	if err != nil {
		return err
	}
	if facts["exit_code"] != 0.0 {
		return fmt.Errorf("the command failed: %s", totals)
	}
	fmt.Println(totals)

	reply, facts, err := call(ctx, session, "send_chat_message", map[string]any{"message": question})
	// A long reply hands over what there is, and goes on by its handle.
	for err == nil && facts["status"] == "running" {
		fmt.Println(reply)
		reply, facts, err = call(ctx, session, "wait_run", map[string]any{"runs": []any{facts["run"]}})
	}
	if err != nil {
		return err
	}
	fmt.Println(reply)
	if facts["status"] != "completed" {
		return fmt.Errorf("the reply is %v", facts["status"])
	}
	return nil
}

// call calls a tool. Facts are what a program needs to know of the result.
func call(ctx context.Context, session *mcp.ClientSession, tool string, args map[string]any) (text string, facts map[string]any, err error) {
	params := &mcp.CallToolParams{Name: tool, Arguments: args}
	params.SetProgressToken(tool)
	result, err := session.CallTool(ctx, params)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", tool, err)
	}
	for _, content := range result.Content {
		if t, ok := content.(*mcp.TextContent); ok {
			text += t.Text
		}
	}
	if result.IsError {
		return "", nil, fmt.Errorf("%s: %s", tool, text)
	}
	facts, _ = result.Meta["openclaw-mcp/result"].(map[string]any)
	return text, facts, nil
}
