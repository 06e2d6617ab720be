package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/fault"
)

// maxSignedFile is more than any object that can be signed.
const maxSignedFile = 1 << 20

// readInput reads a file, or standard input for "-".
func (c *cli) readInput(name string) ([]byte, error) {
	in := c.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxSignedFile+1))
	if err == nil && len(raw) > maxSignedFile {
		err = fault.New(fault.TooLarge, "too_large", "%s has more than %d bytes", name, maxSignedFile)
	}
	return raw, err
}

func (c *cli) signCommand() *cobra.Command {
	var audience string
	var ttl time.Duration
	cmd := &cobra.Command{
		Use: "sign FILE", Short: "Sign a JSON object as the current agent, for one audience", Args: exactly(1),
		Long: "Sign a JSON object as the current agent: a message, an item of a queue, a commit. FILE is - for standard input. Whoever it is for checks it with\n`attorn verify --audience`, or with a Verifier's Open.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if audience == "" {
				return usageError{fmt.Errorf("sign takes --audience: whom the object is for")}
			}
			object, err := c.readInput(args[0])
			if err != nil {
				return err
			}
			ag, _, err := c.agent(cmd.Context())
			if err != nil {
				return err
			}
			signed, err := ag.Sign(object, audience, ttl)
			if err != nil {
				return err
			}
			return c.show(map[string]string{"signed": signed}, signed, func(w io.Writer) { row(w, signed) })
		},
	}
	cmd.Flags().StringVar(&audience, "audience", "", "whom it is for")
	cmd.Flags().DurationVar(&ttl, "ttl", 5*time.Minute, "how long it is good for")
	return cmd
}

// opened is what a signed object says and who signed it.
type opened struct {
	Agent    string `json:"agent"`
	Instance string `json:"instance"`
	Object   string `json:"object"`
}

// openObject verifies a signed object with the keys that the server publishes.
func (c *cli) openObject(cmd *cobra.Command, file, audience, server string) error {
	raw, err := c.readInput(file)
	if err != nil {
		return err
	}
	if server == "" {
		a, err := c.account()
		if err != nil {
			return err
		}
		server = a.Server
	}
	v, err := attorn.NewVerifier(attorn.VerifierConfig{Issuer: server, Resource: server})
	if err != nil {
		return err
	}
	defer v.Close()
	object, who, err := v.Open(cmd.Context(), strings.TrimSpace(string(raw)), audience)
	if f := fault.Of(err); f != nil && f.Kind != fault.Unavailable {
		c.complain(f.Reason, f.Remedy)
		return quiet{exitUnverified}
	}
	if err != nil {
		return err
	}
	o := opened{who.Agent.String(), who.Instance.String(), string(object)}
	fmt.Fprintf(c.talk, "signed by instance %s of agent %s\n", o.Instance, o.Agent)
	return c.show(o, o.Agent, func(w io.Writer) { row(w, o.Object) })
}

func (c *cli) fetchCommand() *cobra.Command {
	var method, data, resource, under string
	var sign, only bool
	cmd := &cobra.Command{
		Use: "fetch URL", Short: "Send a request to a service as the current agent", Args: exactly(1),
		Example: "  attorn fetch https://repo.example.com/api/repos --resource https://repo.example.com/api\n" +
			"  attorn fetch https://repo.example.com/api/repos --resource https://repo.example.com/api --method POST --data repo.json --sign",
		RunE: func(cmd *cobra.Command, args []string) error {
			if resource == "" {
				return usageError{fmt.Errorf("fetch takes --resource: the URL that the service is registered with")}
			}
			ag, _, err := c.agent(cmd.Context())
			if err != nil {
				return err
			}
			var carrier http.RoundTripper
			if sign || only {
				carrier = ag.Signed(nil, resource)
			}
			if !only {
				r := attorn.TokenRequest{}
				if under != "none" {
					d, err := c.mine(cmd.Context(), ag, under)
					if err != nil {
						return err
					}
					r.Delegation = d.Link.String()
				}
				carrier = ag.Transport(carrier, resource, r)
			}
			return c.fetch(cmd, &http.Client{Transport: carrier, Timeout: 2 * time.Minute}, method, args[0], data)
		},
	}
	f := cmd.Flags()
	f.StringVar(&resource, "resource", "", "the URL that the service is registered with")
	f.StringVar(&method, "method", "", "GET, or POST where there is --data")
	f.StringVar(&data, "data", "", "file that is the body; - for standard input")
	f.StringVar(&under, "under", "", "delegation to act under (default: the only live one; none: for nobody)")
	f.BoolVar(&sign, "sign", false, "sign the whole request, its body too, beside the token")
	f.BoolVar(&only, "sign-only", false, "sign the whole request, and send no token: the agent acts for nobody")
	return cmd
}

// fetch prints the answer's body. A status that is none of success is an error.
func (c *cli) fetch(cmd *cobra.Command, hc *http.Client, method, target, data string) error {
	var body io.Reader
	if data != "" {
		raw, err := c.readInput(data)
		if err != nil {
			return err
		}
		body = strings.NewReader(string(raw))
	}
	if method == "" {
		method = http.MethodGet
		if body != nil {
			method = http.MethodPost
		}
	}
	r, err := http.NewRequestWithContext(cmd.Context(), method, target, body)
	if err != nil {
		return usageError{err}
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := hc.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		if err := attorn.Refusal(res.StatusCode, answer); fault.Code(err) != "bad_answer" {
			return err
		}
		fmt.Fprintln(c.talk, line(string(answer)))
		return fault.New(fault.Denied, "service_refused", "the service answered %s", res.Status).Try("see what it says above: the caller was proved, the rest is the service's own")
	}
	_, err = c.out.Write(answer)
	return err
}
