package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator"
)

// startService starts the embedded service with one instance, and gives a client
// of it.
func startService(key string) (c *client.Client, instance string, stop func()) {
	dir, err := os.MkdirTemp("", "openclaw-example-")
	if err != nil {
		panic(err)
	}
	service, err := emulator.New(emulator.Options{Dir: dir})
	if err != nil {
		panic(err)
	}
	if instance, err = service.AddInstance(key); err != nil {
		panic(err)
	}
	server := httptest.NewServer(service)
	if c, err = client.New(server.Client(), server.URL, key); err != nil {
		panic(err)
	}
	return c, instance, func() {
		_ = service.Close()
		server.Close()
		c.CloseIdleConnections()
		_ = os.RemoveAll(dir)
	}
}

// Events of a stream come as they happen. An Accumulator makes a reply of them.
func ExampleChatService_Stream() {
	c, instance, stop := startService("sk_live_example")
	defer stop()

	var reply client.Accumulator
	for ev, err := range c.Chat.Stream(context.Background(), instance, client.SendRequest{Message: "/exec echo hello"}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		reply.Add(ev)
	}
	fmt.Println("complete:", reply.Done() && reply.Err() == nil)
	fmt.Println("has text:", reply.Text() != "")
	// Output:
	// complete: true
	// has text: true
}

// Files are written and read as text or bytes.
func ExampleFilesService() {
	c, instance, stop := startService("sk_live_example")
	defer stop()

	ctx := context.Background()
	if err := c.Files.Write(ctx, instance, "/workspace/notes/a.txt", "Hello\n"); err != nil {
		fmt.Println(err)
		return
	}
	content, err := c.Files.Read(ctx, instance, "/workspace/notes/a.txt", 0)
	fmt.Printf("%q %v\n", content, err)
	// Output: "Hello\n" <nil>
}

// A command that fails is a result, not an error.
func ExampleTerminalService_Exec() {
	c, instance, stop := startService("sk_live_example")
	defer stop()

	r, err := c.Terminal.Exec(context.Background(), instance, client.ExecRequest{Command: "echo hello; exit 3"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%q, exit code %d\n", r.Stdout.Head, *r.ExitCode)
	// Output: "hello\n", exit code 3
}

// An Error says whether anything happened at the service, and so whether it is
// safe to repeat the call.
func ExampleError() {
	c, _, stop := startService("sk_live_example")
	defer stop()

	_, err := c.Instances.Reboot(context.Background(), "no-such-instance")
	if e, ok := errors.AsType[*client.Error](err); ok {
		fmt.Println(e.Status, e.Outcome)
	}
	// Output: 404 rejected
}
