package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

// joinFlags are those of attorn agent join without a token.
type joinFlags struct {
	device, workload, partner                bool
	name, workspace, assertion, under, chain string
}

// joinByDevice becomes an instance that a person confirms.
func (c *cli) joinByDevice(ctx context.Context, server, tokenFile, as string, by joinFlags) error {
	if server == "" || tokenFile != "" || by.assertion != "" {
		return usageError{fmt.Errorf("attorn agent join --device takes --server URL, and neither --token nor --assertion-file")}
	}
	as = cmp.Or(as, by.name, "agent")
	if err := c.free(as); err != nil {
		return err
	}
	ws, err := workspaceOf(by.workspace)
	if err != nil {
		return err
	}
	keyFile := filepath.Join("keys", as+".jwk")
	got, err := attorn.EnrolDevice(ctx, attorn.DeviceConfig{
		Server: server, Workspace: ws, Name: by.name, KeyFile: filepath.Join(c.home, keyFile), OnCode: c.showCode,
	})
	if err != nil {
		return err
	}
	a := account{Server: server, Workspace: got.Workspace(), Agent: got.ID(), Name: got.Name(), KeyFile: keyFile}
	if err := c.remember(as, a); err != nil {
		return err
	}
	return c.showJoined(a, got)
}

// loginByDevice registers a key that the person confirms in a browser where they are signed in.
func (c *cli) loginByDevice(ctx context.Context, server, workspace, as string) error {
	ws, err := workspaceOf(workspace)
	if err != nil {
		return err
	}
	keyFile, signer, err := c.newKey(as)
	if err != nil {
		return err
	}
	got, err := attorn.SignInDevice(ctx, attorn.SignInDeviceConfig{Server: server, Workspace: ws, Signer: signer, OnCode: c.showCode})
	if err != nil {
		return err
	}
	return c.signedIn(server, as, keyFile, got)
}

// signedIn remembers and shows who signed in.
func (c *cli) signedIn(server, as, keyFile string, got api.SignedIn) error {
	if err := c.remember(as, account{Server: server, Workspace: got.Workspace, User: got.User, Name: got.Name, KeyFile: keyFile}); err != nil {
		return err
	}
	return c.show(got, got.User.String(), func(w io.Writer) {
		row(w, "signed in as", got.Name+" ("+got.User.String()+")")
		row(w, "key", got.Key.String())
		row(w, "key in", filepath.Join(c.home, keyFile))
	})
}

func workspaceOf(name string) (id.Workspace, error) {
	if name == "" {
		return id.Workspace{}, nil
	}
	ws, err := id.ParseWorkspace(name)
	if err != nil {
		return ws, usageError{fmt.Errorf("--workspace: %w", err)}
	}
	return ws, nil
}

// showCode tells the person at this machine what to do in their browser, and what is waited for.
func (c *cli) showCode(d attorn.DeviceCode) {
	say(c.talk, "In a browser where you are signed in, open %s", d.Complete)
	say(c.talk, "or type the code %s at %s", d.UserCode, d.Page)
	say(c.talk, "and compare the key: %s", d.Key)
	say(c.talk, "waiting for you to confirm it, until %s …", d.Expires.UTC().Format("15:04:05 UTC"))
}

func (c *cli) deviceCommand() *cobra.Command {
	show := &cobra.Command{Use: "show CODE", Short: "Show which key asks for what, under the code that its device shows", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		d, err := cl.Device(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return c.show(d, d.Key.String(), func(w io.Writer) {
			asks := "to become an instance of an agent"
			if d.Purpose == "person" {
				asks = "to become your own key, with which one acts as you"
			}
			row(w, "asks", asks)
			row(w, "workspace", d.Workspace.String())
			row(w, "key", d.Key.String())
			row(w, "proposes the name", d.Name)
			row(w, "client", d.Client)
			row(w, "from", d.Address)
			row(w, "since", moment(d.Asked))
			row(w, "until", moment(d.Expires))
		})
	}}
	deny := &cobra.Command{Use: "deny CODE", Short: "Refuse it", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		got, err := cl.DenyDevice(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return c.show(got, got.Event.String(), func(w io.Writer) { say(w, "refused, log #%d", got.Rev) })
	}}
	return noun("device", "Devices that wait for you to confirm their key", show, c.confirmDevice(), deny)
}

func (c *cli) confirmDevice() *cobra.Command {
	var agent, fresh string
	cmd := &cobra.Command{
		Use: "confirm CODE", Short: "Confirm it, only if you started it yourself just now", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if agent != "" && fresh != "" {
				return usageError{fmt.Errorf("attorn device confirm takes --agent or --new, not both")}
			}
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			in := api.ConfirmDevice{New: fresh}
			if agent != "" {
				a, err := cl.Agent(cmd.Context(), agent)
				if err != nil {
					return err
				}
				in.Agent = a.ID
			}
			got, err := cl.ConfirmDevice(cmd.Context(), args[0], in)
			if err != nil {
				return err
			}
			return c.show(got, cmp.Or(got.Instance, got.Key).String(), func(w io.Writer) {
				if !got.User.IsZero() {
					say(w, "the key %s is now yours, %s (%s)", got.Key, got.Name, got.User)
					return
				}
				say(w, "the key %s is now an instance of %s (%s)", got.Instance, got.Name, got.Agent)
			})
		},
	}
	cmd.Flags().StringVar(&agent, "agent", "", "the agent that the key becomes an instance of")
	cmd.Flags().StringVar(&fresh, "new", "", "instead: the name of a new agent, which you own")
	return cmd
}
