// A small agent over gRPC: it finds out who is on call for this project, and can be debugged at every step.
package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"regexp"

	_ "modernc.org/sqlite"
)

const (
	repository = "../.." // from here, where `go run .` is run
	question   = "Who is on call for this project?"
)

// What this agent obeys before and after a step; the debugger offers nothing else.
var (
	before = []string{"edit", "fulfil", "fail", "abort"}
	after  = []string{"edit", "fail", "abort"}
)

// Prompt is what the model is asked.
type Prompt struct {
	Model    string    `json:"model"`
	Messages []Message `json:"messages"`
}

// Message is the question, or a tool's result.
type Message struct {
	Role    string `json:"role"`
	Tool    string `json:"tool,omitempty"`
	Content any    `json:"content"`
}

// Reply is what the model says: call a tool, or the answer.
type Reply struct {
	Model  string `json:"model,omitempty"`
	Call   string `json:"call,omitempty"`
	Input  *Input `json:"input,omitempty"`
	Answer string `json:"answer,omitempty"`
}

// Input is what a tool takes.
type Input struct {
	Path string `json:"path,omitempty"`
	SQL  string `json:"sql,omitempty"`
}

// Result is what a tool returns.
type Result struct {
	Text  string              `json:"text,omitempty"`
	Rows  []map[string]string `json:"rows,omitempty"`
	Error string              `json:"error,omitempty"`
}

func (r Reply) isLast() bool  { return r.Answer != "" }
func (r Result) isLast() bool { return false }

var nameLine = regexp.MustCompile(`(?m)^name = "(.+)"`)

// think is the "model": it decides by rule, from the messages alone, so that every run is the same.
func think(prompt Prompt) (Reply, error) {
	if len(prompt.Messages) == 0 {
		return Reply{}, errors.New("a prompt needs a message")
	}
	last := prompt.Messages[len(prompt.Messages)-1]
	if last.Role == "user" {
		return Reply{Model: prompt.Model, Call: "read_file", Input: &Input{Path: "Cargo.toml"}}, nil
	}
	var result Result
	if err := convert(last.Content, &result); err != nil {
		return Reply{}, err
	}
	if result.Error != "" {
		return Reply{Model: prompt.Model, Answer: "I could not find out: " + result.Error}, nil
	}
	if last.Tool == "read_file" {
		name := nameLine.FindStringSubmatch(result.Text)
		if name == nil {
			return Reply{}, errors.New("the file names no project")
		}
		query := fmt.Sprintf("SELECT person FROM on_call WHERE service = '%s'", name[1])
		return Reply{Model: prompt.Model, Call: "query_sqlite", Input: &Input{SQL: query}}, nil
	}
	if len(result.Rows) == 0 {
		return Reply{}, errors.New("the query found nobody")
	}
	return Reply{Model: prompt.Model, Answer: result.Rows[0]["person"] + " is on call."}, nil
}

func readFile(input Input) (Result, error) {
	text, err := os.ReadFile(filepath.Join(repository, input.Path))
	return Result{Text: string(text)}, err
}

func querySQLite(database *sql.DB) func(Input) (Result, error) {
	return func(input Input) (Result, error) {
		rows, err := database.Query(input.SQL)
		if err != nil {
			return Result{}, err
		}
		defer rows.Close()
		var result Result
		for rows.Next() {
			var person string
			if err := rows.Scan(&person); err != nil {
				return Result{}, err
			}
			result.Rows = append(result.Rows, map[string]string{"person": person})
		}
		return result, rows.Err()
	}
}

// step is one step of the agent: report it and obey, do it, report what came of it and obey again.
func step[In any, Out interface{ isLast() bool }](
	debugger *Debugger, opening, closing, name, model string, input In, work func(In) (Out, error),
) (Out, error) {
	var output, none Out
	told, err := debugger.Step(opening, input, before, Fields{"name": name, "model": model})
	if err != nil {
		return none, err
	}
	var failure error
	switch told.Action {
	case "fail":
		failure = errors.New(told.Message)
	case "fulfil":
		failure = decode(told.Data, &output)
	case "edit":
		if told.Data != nil {
			var edited In
			failure = decode(told.Data, &edited)
			input = edited
		}
		if told.Model != "" && failure == nil {
			failure = convert(map[string]string{"model": told.Model}, &input)
		}
	}
	if told.Action != "fulfil" && failure == nil {
		output, failure = work(input)
	}
	fields := Fields{"name": name, "node_id": told.NodeID}
	if failure != nil {
		failed := map[string]string{"error": failure.Error()}
		if _, err := debugger.Step("error", failed, []string{"abort"}, fields); err != nil {
			return none, err
		}
		return none, failure
	}
	fields["run_end"] = output.isLast()
	told, err = debugger.Step(closing, output, after, fields)
	switch {
	case err != nil:
		return none, err
	case told.Action == "fail":
		return none, errors.New(told.Message)
	case told.Action == "edit" && told.Data != nil:
		output = none
		err = decode(told.Data, &output)
	}
	return output, err
}

func run(debugger *Debugger, tools map[string]func(Input) (Result, error)) (Reply, error) {
	messages := []Message{{Role: "user", Content: question}}
	for {
		prompt := Prompt{Model: "scripted-1", Messages: messages}
		reply, err := step(debugger, "prompt", "response", "", prompt.Model, prompt, think)
		if err != nil || reply.Call == "" {
			return reply, err
		}
		var input Input
		if reply.Input != nil {
			input = *reply.Input
		}
		result, err := step(debugger, "tool_call", "tool_result", reply.Call, "", input, func(input Input) (Result, error) {
			tool, known := tools[reply.Call]
			if !known {
				return Result{}, fmt.Errorf("no tool is named %q", reply.Call)
			}
			return tool(input)
		})
		var aborted *Aborted
		var refused *Refused
		if errors.As(err, &aborted) || errors.As(err, &refused) {
			return Reply{}, err
		}
		if err != nil {
			result = Result{Error: err.Error()} // the model is told, and says what it makes of it
		}
		messages = append(messages, Message{Role: "tool", Tool: reply.Call, Content: result})
	}
}

func main() {
	log.SetFlags(0)
	debugger, err := NewDebugger(filepath.Join(repository, "proto"), "go-example")
	check(err)
	folder, err := os.MkdirTemp("", "agent-")
	check(err)
	defer os.RemoveAll(folder)
	database, err := sql.Open("sqlite", filepath.Join(folder, "on_call.sqlite"))
	check(err)
	defer database.Close()
	_, err = database.Exec(`CREATE TABLE on_call (service TEXT, person TEXT);
		INSERT INTO on_call VALUES ('agent-debugger', 'Ada'), ('billing', 'Grace')`)
	check(err)

	reply, err := run(debugger, map[string]func(Input) (Result, error){
		"read_file": readFile, "query_sqlite": querySQLite(database),
	})
	result := map[string]string{"status": "done", "answer": reply.Answer, "model": reply.Model}
	var aborted *Aborted
	if errors.As(err, &aborted) {
		result = map[string]string{"status": "aborted", "reason": aborted.Reason}
	} else if err != nil {
		result = map[string]string{"status": "failed", "error": err.Error()}
	}
	if !debugger.Ended {
		// The run did not get as far as an answer. Its last event says that it is over; an aborted run answers
		// every later step with that abort again, which is no news, and what is over cannot be stopped.
		_, _ = debugger.Step("log", result, nil, Fields{"run_end": true, "hold": "HOLD_POLICY_NEVER"})
	}
	check(json.NewEncoder(os.Stdout).Encode(result))
}

func decode(text []byte, into any) error {
	if text == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// convert takes a value through JSON into another shape.
func convert(from, into any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
