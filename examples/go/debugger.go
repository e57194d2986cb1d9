package main

// Reports an agent's steps to agent-debugger and returns what to do. Copy it into your own agent.

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/bufbuild/protocompile"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	away  = 10 * time.Second       // how long a debugger that is away is asked again
	pause = 200 * time.Millisecond // between two attempts
	// A step that got no answer for this long was held: others are answered in milliseconds.
	heldAfter = time.Second
	// How long one call waits while the step is held, before it asks again, and how long its answer may take beyond
	// that; and the same while the debugger is away.
	poll, margin         = 20 * time.Second, 10 * time.Second
	pollAway, marginAway = 2 * time.Second, 3 * time.Second
	// The largest message that the service reads to its end.
	maxBytes = 4 << 20
)

// How Go says that nothing listens there; any other failure to connect is none of these.
var nothingListens = []string{
	"connection refused", "no route to host", "network is unreachable", "i/o timeout", "no such host",
	"produced zero addresses", "server misbehaving",
}

// Debugger is one agent's line to agent-debugger.
type Debugger struct {
	AgentID, RunID string
	Ended          bool // whether an event with run_end was reported

	conn       *grpc.ClientConn
	trace      protoreflect.MethodDescriptor
	ctx        context.Context
	required   bool
	complained bool
}

// Aborted says that the run was aborted: no further step of it may run.
type Aborted struct{ Reason string }

func (a *Aborted) Error() string { return "aborted: " + a.Reason }

// Refused says that this step must not run: it was refused, or its answer was lost, or a required debugger is absent.
type Refused struct{ Why string }

func (r *Refused) Error() string { return r.Why }

// absentError says that nothing listens there, or that the service has no room for this agent.
type absentError struct{ error }

// awayError says that there is no answer, but may be one in a moment.
type awayError struct{ error }

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
	// gRPC would wait for up to two minutes before it tries again where nothing listened.
	often := grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: pause, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
		MinConnectTimeout: 5 * time.Second,
	}
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(transport), grpc.WithConnectParams(often))
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	if token := os.Getenv("AGENT_DEBUGGER_TOKEN"); token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	return &Debugger{
		AgentID:  env("AGENT_DEBUGGER_AGENT_ID", defaultAgentID),
		RunID:    os.Getenv("AGENT_DEBUGGER_RUN_ID"),
		conn:     conn,
		trace:    files[0].Services().ByName("DebuggerService").Methods().ByName("Trace"),
		ctx:      ctx,
		required: env("AGENT_DEBUGGER_REQUIRED", "0") != "0",
	}, nil
}

// Fields are the other fields of a TraceRequest, by their names in the contract.
type Fields map[string]any

// Step reports one step, waits while it is held, and returns the decision. The error is *Aborted or *Refused. Where
// nothing listens, steps proceed unless AGENT_DEBUGGER_REQUIRED is set.
func (d *Debugger) Step(kind string, data any, accepts []string, fields Fields) (Decision, error) {
	request, err := d.request(kind, data, accepts, fields)
	if err != nil { // what cannot be reported must not run unseen
		return Decision{}, &Refused{"the step cannot be sent: " + err.Error()}
	}
	answer, err := d.ask(request)
	if err != nil {
		return Decision{}, err
	}
	d.Ended = d.Ended || fields["run_end"] == true
	if answer == nil {
		return Decision{Action: "proceed"}, nil
	}
	decision := Decision{NodeID: answer.NodeID}
	for action, decided := range answer.Decision { // the one action that is set
		if action == "abort" {
			return Decision{}, &Aborted{decided.Reason}
		}
		decision.Action, decision.Model, decision.Message = action, decided.Model, decided.Message
		if decided.DataJSON != "" {
			decision.Data = []byte(decided.DataJSON)
		}
	}
	if decision.Action == "" {
		return Decision{}, &Refused{"decision: it is none that this helper knows"}
	}
	return decision, nil
}

// ask asks until there is an answer, or it is clear that there will be none; nil where no debugger is there.
func (d *Debugger) ask(request *dynamicpb.Message) (*traceResponse, error) {
	held, until := false, time.Time{}
	for {
		asked := time.Now()
		answer, err := d.call(request, !until.IsZero())
		if err == nil && answer.Outcome == "OUTCOME_STILL_HELD" {
			held, until = true, time.Time{}
			continue
		}
		if err == nil {
			return answer, nil
		}
		var nothing *absentError
		var lost *awayError
		switch {
		case errors.As(err, &nothing):
			if !held && until.IsZero() {
				return nil, d.absent(err)
			}
			// It was there a moment ago, and may be starting again.
		case !errors.As(err, &lost):
			return nil, err
		}
		now := time.Now()
		held = held || now.Sub(asked) > heldAfter
		if until.IsZero() {
			until = now.Add(away)
		}
		if !now.Before(until) {
			if held {
				return nil, &Refused{"the step was held, and the connection was lost: " + err.Error()}
			}
			return nil, d.absent(err)
		}
		time.Sleep(pause)
	}
}

func (d *Debugger) absent(err error) error {
	if d.required {
		return &Refused{"a debugger is required, and there is none: " + err.Error()}
	}
	if !d.complained {
		fmt.Fprintln(os.Stderr, "going on without the debugger:", err)
		d.complained = true
	}
	return nil
}

// troubleOf says what a failed call says of the debugger: it refused, it is absent, or it may be back in a moment.
func troubleOf(err error) error {
	failed := status.Convert(err)
	said := failed.Message()
	// The service sends details with every refusal; gRPC has none for its own.
	details := failed.Details()
	switch failed.Code() {
	case codes.Aborted:
		return &Aborted{said}
	case codes.ResourceExhausted:
		for _, detail := range details {
			if info, ok := detail.(*errdetails.ErrorInfo); ok && info.Reason == "AGENT_LIMIT" {
				return &absentError{err}
			}
		}
	case codes.Unavailable:
		if len(details) > 0 {
			return &awayError{err}
		}
		unconnected := strings.Contains(said, "while dialing") || strings.HasPrefix(said, "name resolver error") ||
			strings.HasPrefix(said, "dns:")
		for _, words := range nothingListens {
			if unconnected && strings.Contains(said, words) {
				return &absentError{err}
			}
		}
		if strings.Contains(said, "authentication handshake failed") {
			// A service that is not the one that was meant, or does not want this client.
			return &Refused{said}
		}
		return &awayError{err}
	case codes.DeadlineExceeded, codes.Canceled:
		if len(details) == 0 {
			return &awayError{err}
		}
	}
	return &Refused{said}
}

type traceResponse struct {
	NodeID   string `json:"node_id"`
	Outcome  string `json:"outcome"`
	Decision map[string]struct {
		DataJSON string `json:"data_json"`
		Model    string `json:"model"`
		Message  string `json:"message"`
		Reason   string `json:"reason"`
	} `json:"decision"`
}

func (d *Debugger) request(kind string, data any, accepts []string, fields Fields) (*dynamicpb.Message, error) {
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
		"data_json": string(payload), "accepts": verbs, "request_id": rand.Text(),
	}
	for name, value := range fields {
		whole[name] = value
	}
	text, err := json.Marshal(whole)
	if err != nil {
		return nil, err
	}
	request := dynamicpb.NewMessage(d.trace.Input())
	if err := protojson.Unmarshal(text, request); err != nil {
		return nil, err
	}
	if size := proto.Size(request); size > maxBytes {
		return nil, fmt.Errorf("%d bytes, at most %d are taken", size, maxBytes)
	}
	return request, nil
}

func (d *Debugger) call(request *dynamicpb.Message, isAway bool) (*traceResponse, error) {
	poll, margin := poll, margin
	if isAway {
		poll, margin = pollAway, marginAway
	}
	field := d.trace.Input().Fields().ByName("hold_timeout")
	request.Set(field, protoreflect.ValueOfMessage(durationpb.New(poll).ProtoReflect()))
	ctx, cancel := context.WithTimeout(d.ctx, poll+margin)
	defer cancel()
	response := dynamicpb.NewMessage(d.trace.Output())
	if err := d.conn.Invoke(ctx, "/agent_debugger.v1.DebuggerService/Trace", request, response); err != nil {
		return nil, troubleOf(err)
	}
	// What cannot be understood is no leave to go on.
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(response)
	if err != nil {
		return nil, &Refused{"the answer cannot be read: " + err.Error()}
	}
	answer := new(traceResponse)
	if err := json.Unmarshal(text, answer); err != nil {
		return nil, &Refused{"the answer cannot be read: " + err.Error()}
	}
	return answer, nil
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
