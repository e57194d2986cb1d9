// Reports one tool call with the helper for Go and prints what its agent was told. It is built in place of main.go.
package main

import (
	"encoding/json"
	"errors"
	"log"
	"math"
	"os"
	"path/filepath"
	"strings"
)

const mib = 1 << 20

func main() {
	debugger, err := NewDebugger(filepath.Join("..", "..", "proto"), "probe")
	if err != nil {
		log.Fatal(err)
	}
	data, name := any(map[string]any{"amount": 1}), "pay"
	switch os.Args[1] {
	case "sizeable":
		data = map[string]string{"text": strings.Repeat("x", 34*mib/10)}
	case "large":
		data = map[string]string{"text": strings.Repeat("x", 36*mib/10)}
	case "huge":
		data = map[string]string{"text": strings.Repeat("x", 5*mib)}
	case "deep":
		data = map[string]any{}
		for range 69 {
			data = map[string]any{"deeper": data}
		}
	case "nan":
		data = map[string]float64{"amount": math.NaN()}
	case "list":
		data = []int{1}
	case "foreign":
		data = map[string]any{"amount": make(chan int)}
	case "long_name":
		name = strings.Repeat("x", 201)
	case "huge_name":
		name = strings.Repeat("x", 5*mib)
	}
	decision, err := debugger.Step("tool_call", data, []string{"edit", "fulfil", "fail", "abort"}, Fields{"name": name})
	told := map[string]string{"told": decision.Action}
	var aborted *Aborted
	if errors.As(err, &aborted) {
		told = map[string]string{"told": "aborted", "why": aborted.Reason}
	} else if err != nil {
		told = map[string]string{"told": "refused", "why": err.Error()}
	}
	if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
		log.Fatal(err)
	}
}
