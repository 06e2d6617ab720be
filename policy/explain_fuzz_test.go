package policy_test

import (
	"strings"
	"testing"

	"github.com/attorn/attorn/policy"
)

// FuzzExplain holds that whatever compiles can be explained, to the decision that is made.
func FuzzExplain(f *testing.F) {
	for _, c := range all(sound, erring) {
		f.Add("permit (principal, action, resource) when { " + c + " };")
		f.Add("@id(\"g\") @approve(\"1 of rm\") forbid (principal in Role::\"x\", action, resource) unless { ((" + c + ") && // it\n\"a\\\"&&||(\" like \"*&&*\") };")
	}
	f.Add(`@doc("if (") permit (principal is User in Role::"a@server:deploy", action in [Action::"tool:deploy:stop"], resource is Tool in Server::"d") when {{"if": 1}["if"] == 1 && (true || false) && !!true};`)
	f.Add(strings.Repeat(`permit (principal, action, resource) when { false } unless { true };`, 5))
	f.Fuzz(func(t *testing.T, text string) {
		set, _ := policy.Compile([]policy.File{{Path: "policies/x.cedar", Text: []byte(text)}})
		if set == nil {
			return
		}
		for _, facts := range []policy.Facts{chain("agt_a"), chain("usr_p", "agt_b", "agt_a")} {
			agrees(t, set, facts, nil)
		}
	})
}
