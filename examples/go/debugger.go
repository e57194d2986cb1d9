package main

// Reports an agent's steps to agent-debugger and returns what to do. Copy it into your own agent.

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Debugger is one agent's line to agent-debugger.
type Debugger struct {
	AgentID, RunID string
	Ended          bool // whether an event with run_end was reported

	conn       *grpc.ClientConn
	trace      protoreflect.MethodDescriptor
	ctx        context.Context
	complained bool
}

// Aborted says that somebody decided that the run ends here.
type Aborted struct{ Reason string }

func (a *Aborted) Error() string { return "aborted: " + a.Reason }

// Decision is what the agent is to do with the step. NodeID belongs on the event that closes the step.
type Decision struct {
	Action  string // proceed, edit, fulfil or fail
	Data    []byte // JSON; nil where the decision carries none
	Model   string
	Message string
	NodeID  string
}

// NewDebugger reads the contract from the folder protos, so that there is no code to generate, and connects lazily.
func NewDebugger(protos, defaultAgentID string) (*Debugger, error) {
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(
		&protocompile.SourceResolver{ImportPaths: []string{protos}})}
	files, err := compiler.Compile(context.Background(), "agent_debugger/v1/debugger.proto")
	if err != nil {
		return nil, err
	}
	address, err := url.Parse(env("AGENT_DEBUGGER_URL", "http://127.0.0.1:7117"))
	if err != nil {
		return nil, err
	}
	transport, port := insecure.NewCredentials(), "80"
	if address.Scheme == "https" {
		transport, port = credentials.NewTLS(nil), "443"
	}
	if address.Port() != "" {
		port = address.Port()
	}
	// Without a port gRPC would take 443 for either scheme.
	target := net.JoinHostPort(address.Hostname(), port)
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(transport))
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	if token := os.Getenv("AGENT_DEBUGGER_TOKEN"); token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	return &Debugger{
		AgentID: env("AGENT_DEBUGGER_AGENT_ID", defaultAgentID),
		RunID:   os.Getenv("AGENT_DEBUGGER_RUN_ID"),
		conn:    conn,
		trace:   files[0].Services().ByName("DebuggerService").Methods().ByName("Trace"),
		ctx:     ctx,
	}, nil
}

// Fields are the other fields of a TraceRequest, by their names in the contract.
type Fields map[string]any

// Step reports one step, waits while it is held, and returns the decision. The only error is *Aborted.
func (d *Debugger) Step(kind string, data any, accepts []string, fields Fields) (Decision, error) {
	answer, err := d.call(kind, data, accepts, fields)
	if status.Code(err) == codes.Aborted {
		// A stop for agents that do not say that they accept one.
		return Decision{}, &Aborted{status.Convert(err).Message()}
	}
	if err != nil {
		// Everything else fails open: a debugger that is away or broken must not stop the agent.
		if !d.complained {
			fmt.Fprintln(os.Stderr, "going on without the debugger:", err)
			d.complained = true
		}
		return Decision{Action: "proceed"}, nil
	}
	decision := Decision{Action: "proceed", NodeID: answer.NodeID}
	for action, decided := range answer.Decision { // the one action that is set
		if action == "abort" {
			return Decision{}, &Aborted{decided.Reason}
		}
		decision.Action, decision.Model, decision.Message = action, decided.Model, decided.Message
		if decided.DataJSON != "" {
			decision.Data = []byte(decided.DataJSON)
		}
	}
	return decision, nil
}

type traceResponse struct {
	NodeID   string `json:"node_id"`
	Decision map[string]struct {
		DataJSON string `json:"data_json"`
		Model    string `json:"model"`
		Message  string `json:"message"`
		Reason   string `json:"reason"`
	} `json:"decision"`
}

func (d *Debugger) call(kind string, data any, accepts []string, fields Fields) (*traceResponse, error) {
	payload, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	verbs := make([]string, len(accepts))
	for i, verb := range accepts {
		verbs[i] = "VERB_" + strings.ToUpper(verb)
	}
	whole := map[string]any{
		"agent_id": d.AgentID, "run_id": d.RunID, "type": "EVENT_TYPE_" + strings.ToUpper(kind),
		"data_json": string(payload), "accepts": verbs,
	}
	for name, value := range fields {
		whole[name] = value
		d.Ended = d.Ended || (name == "run_end" && value == true)
	}
	text, err := json.Marshal(whole)
	if err != nil {
		return nil, err
	}
	request, response := dynamicpb.NewMessage(d.trace.Input()), dynamicpb.NewMessage(d.trace.Output())
	if err := protojson.Unmarshal(text, request); err != nil {
		return nil, err
	}
	// No deadline: the step may be held for as long as somebody looks at it.
	if err := d.conn.Invoke(d.ctx, "/agent_debugger.v1.DebuggerService/Trace", request, response); err != nil {
		return nil, err
	}
	text, err = protojson.MarshalOptions{UseProtoNames: true}.Marshal(response)
	if err != nil {
		return nil, err
	}
	answer := new(traceResponse)
	return answer, json.Unmarshal(text, answer)
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
