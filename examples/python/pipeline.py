#!/usr/bin/env python3
"""A pipeline in Python, with nothing but its standard library, over streamable HTTP.

It puts a file on the instance, adds it up there, and asks the agent about it.

    openclaw-mcp --local --http 127.0.0.1:8080 &
    MCP_URL=http://127.0.0.1:8080/mcp python3 pipeline.py 'Which region sold most?'

MCP_TOKEN is the caller's token, where the server asks for one.
"""

import itertools
import json
import os
import sys
import urllib.error
import urllib.request

SALES = "region,amount\nnorth,120\nsouth,80\nnorth,45\n"
TOTAL = "awk -F, 'NR > 1 { sum[$1] += $2 } END { for (r in sum) print r, sum[r] }' sales.csv | sort"


class ToolError(Exception):
    """A tool that failed, in the words of the server."""


class Session:
    """An MCP session over streamable HTTP, which shows progress on standard error."""

    def __init__(self, url, token=None):
        self.url, self.ids = url, itertools.count(1)
        self.headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if token:
            self.headers["Authorization"] = "Bearer " + token

    def __enter__(self):
        result = self.request("initialize", {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "pipeline", "version": "1"},
        })
        self.headers["MCP-Protocol-Version"] = result["protocolVersion"]
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}).close()
        return self

    def __exit__(self, *_):
        urllib.request.urlopen(urllib.request.Request(self.url, method="DELETE", headers=self.headers), timeout=60).close()

    def post(self, message):
        request = urllib.request.Request(self.url, json.dumps(message).encode(), self.headers)
        # The server says something at least every 15 seconds.
        answer = urllib.request.urlopen(request, timeout=60)
        if session := answer.headers.get("Mcp-Session-Id"):
            self.headers["Mcp-Session-Id"] = session
        return answer

    def request(self, method, params):
        """Sends a request and gives its result; what comes before it is progress."""
        number = next(self.ids)
        with self.post({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) as answer:
            for message in messages(answer):
                if message.get("id") == number and "error" in message:
                    raise ToolError(message["error"]["message"])
                if message.get("id") == number:
                    return message["result"]
                if message.get("method") == "notifications/progress":
                    text = message["params"].get("_meta", {}).get("openclaw-mcp/text", "")
                    print(text, end="", file=sys.stderr, flush=True)
        raise ConnectionError("the stream ended before the result; whether the call went through is not known")

    def call(self, tool, **arguments):
        """Calls a tool: its text, and what a program needs to know of the result."""
        result = self.request("tools/call", {"name": tool, "arguments": arguments, "_meta": {"progressToken": tool}})
        text = "".join(part.get("text", "") for part in result["content"])
        if result.get("isError"):
            raise ToolError(f"{tool}: {text}")
        return text, result.get("_meta", {}).get("openclaw-mcp/result", {})


def messages(answer):
    """The messages of an answer, which is one message or a stream of events."""
    if answer.headers.get_content_type() == "application/json":
        yield json.load(answer)
        return
    data = []
    for line in answer:
        line = line.decode().rstrip("\r\n")
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            event, data = "\n".join(data), []
            if event:
                yield json.loads(event)


def main():
    question = sys.argv[1] if len(sys.argv) > 1 else "Read sales.csv. Which region sold most? Answer in one sentence."
    with Session(os.environ.get("MCP_URL", "http://127.0.0.1:8080/mcp"), os.environ.get("MCP_TOKEN")) as session:
        session.call("write_file", path="/workspace/sales.csv", content=SALES)
        totals, facts = session.call("exec_command", command=TOTAL, cwd="/workspace")
        if facts["exit_code"] != 0:
            raise ToolError(f"the command failed: {totals}")
        print(totals)

        reply, facts = session.call("send_chat_message", message=question)
        # A long reply hands over what there is, and goes on by its handle.
        while facts["status"] == "running":
            print(reply)
            reply, facts = session.call("wait_run", runs=[facts["run"]])
        print(reply)
        if facts["status"] != "completed":
            raise ToolError(f"the reply is {facts['status']}")


if __name__ == "__main__":
    try:
        main()
    except urllib.error.HTTPError as error:
        sys.exit(f"pipeline: {error}: {error.read().decode(errors='replace')}")
    except (ToolError, OSError) as error:
        sys.exit(f"pipeline: {error}")
