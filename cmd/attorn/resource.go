package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
)

func (c *cli) resourceCommand() *cobra.Command {
	ls := &cobra.Command{Use: "ls TYPE", Short: "List the objects of a type that are kept on the server", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		all, err := everything(func(p attorn.Page) (api.List[api.Resource], error) { return cl.Resources(cmd.Context(), args[0], p) })
		if err != nil {
			return err
		}
		return c.show(all, each(all.Items, func(r api.Resource) string { return r.ID }), func(w io.Writer) {
			row(w, "ID", "IN", "IS", "ATTRIBUTES")
			for _, r := range all.Items {
				row(w, r.ID, namesOf(r.Parents), orDash(r.Principal), attributesText(r.Attributes))
			}
		})
	}}
	show := &cobra.Command{Use: "show TYPE ID", Short: "Show an object", Args: exactly(2), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		r, err := cl.Resource(cmd.Context(), args[0], args[1])
		if err != nil {
			return err
		}
		return c.show(r, r.ID, func(w io.Writer) {
			row(w, r.Type, r.ID)
			row(w, "in", namesOf(r.Parents))
			row(w, "is", r.Principal)
			for _, name := range slices.Sorted(maps.Keys(r.Attributes)) {
				row(w, name, string(r.Attributes[name]))
			}
			row(w, "changed", moment(r.Changed))
		})
	}}
	rm := &cobra.Command{Use: "rm TYPE ID", Short: "End an object that nothing is in", Args: exactly(2), RunE: func(cmd *cobra.Command, args []string) error {
		return c.ended(cmd, "removed", args[1], func(ctx context.Context, cl *attorn.Client) (api.Done, error) {
			return cl.RemoveResource(ctx, args[0], args[1])
		})
	}}
	return noun("resource", "Objects of your own services, which policies decide about", c.resourceTypeCommand(), c.setResource(), ls, show, rm)
}

func (c *cli) setResource() *cobra.Command {
	var parents, attributes []string
	cmd := &cobra.Command{
		Use: "set TYPE ID", Aliases: []string{"add"}, Short: "Keep an object, or change one: its attributes and what it is in become these", Args: exactly(2),
		Example: "  attorn resource set repo acme/api --attr owner='Ann Lee' --attr public=true --parent folder:acme",
		RunE: func(cmd *cobra.Command, args []string) error {
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			r := api.Resource{Type: args[0], ID: args[1]}
			for _, p := range parents {
				of, object, ok := strings.Cut(p, ":")
				if !ok {
					return usageError{fmt.Errorf("--parent is TYPE:ID, not %q", p)}
				}
				r.Parents = append(r.Parents, api.ResourceName{Type: of, ID: object})
			}
			if len(attributes) > 0 {
				t, err := cl.ResourceType(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if r.Attributes, err = c.attributes(cmd.Context(), cl, t, attributes); err != nil {
					return err
				}
			}
			done, err := cl.SetResource(cmd.Context(), r)
			if err != nil {
				return err
			}
			return c.show(done, r.ID, func(w io.Writer) { say(w, "the %s %s is kept, log #%d", r.Type, r.ID, done.Rev) })
		},
	}
	cmd.Flags().StringArrayVar(&parents, "parent", nil, "what it is in, as TYPE:ID")
	cmd.Flags().StringArrayVar(&attributes, "attr", nil, "an attribute, as NAME=VALUE; of a set, its elements with commas between them")
	return cmd
}

// attributes reads NAME=VALUE as the type has it; people and agents by id or name.
func (c *cli) attributes(ctx context.Context, cl *attorn.Client, t api.ResourceType, given []string) (map[string]jsontext.Value, error) {
	out := map[string]jsontext.Value{}
	for _, g := range given {
		name, text, ok := strings.Cut(g, "=")
		of := strings.TrimSuffix(t.Attributes[name], "?")
		if !ok || of == "" {
			return nil, usageError{fmt.Errorf("--attr is NAME=VALUE, where a %s has %s", t.Name, strings.Join(slices.Sorted(maps.Keys(t.Attributes)), ", "))}
		}
		if _, again := out[name]; again {
			return nil, usageError{fmt.Errorf("--attr %s is there twice; the elements of a set have commas between them", name)}
		}
		one, set := strings.CutPrefix(of, "set of ")
		if !set {
			v, err := c.attribute(ctx, cl, of, text)
			if err != nil {
				return nil, err
			}
			out[name] = v
			continue
		}
		values := []jsontext.Value{}
		for _, part := range strings.Split(text, ",") {
			v, err := c.attribute(ctx, cl, one, part)
			if err != nil {
				return nil, err
			}
			values = append(values, v)
		}
		raw, err := json.Marshal(values)
		if err != nil {
			return nil, err
		}
		out[name] = raw
	}
	return out, nil
}

func (c *cli) attribute(ctx context.Context, cl *attorn.Client, of, text string) (jsontext.Value, error) {
	switch of {
	case "long", "bool":
		v := jsontext.Value(text)
		if !v.IsValid() || of == "long" && v.Kind() != '0' || of == "bool" && v.Kind() != 't' && v.Kind() != 'f' {
			return nil, usageError{fmt.Errorf("%q is no %s", text, of)}
		}
		return v, nil
	case "User":
		u, err := cl.FindUser(ctx, text)
		if err != nil {
			return nil, err
		}
		text = u.ID.String()
	case "Agent":
		a, err := cl.Agent(ctx, text)
		if err != nil {
			return nil, err
		}
		text = a.ID.String()
	}
	raw, err := jsontext.AppendQuote(nil, text)
	if err != nil {
		return nil, usageError{fmt.Errorf("%q is no text in UTF-8", text)}
	}
	return raw, nil
}

func (c *cli) resourceTypeCommand() *cobra.Command {
	add := &cobra.Command{
		Use: "add FILE", Short: "Make a type of objects of its file, or change one that was made so", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			name := typeName(string(text))
			if name == "" {
				return usageError{fmt.Errorf("%s does not say what the type is called: it has no line with its name", args[0])}
			}
			cl, _, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			t, err := cl.SetResourceType(cmd.Context(), name, string(text))
			if err != nil {
				return err
			}
			return c.show(t, t.Name, func(w io.Writer) { say(w, "the type %s has %s", t.Name, count(len(t.Actions), "action")) })
		},
	}
	ls := &cobra.Command{Use: "ls", Short: "List the types of objects", Args: exactly(0), RunE: func(cmd *cobra.Command, _ []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		all, err := cl.ResourceTypes(cmd.Context())
		if err != nil {
			return err
		}
		return c.show(all, each(all.Items, func(t api.ResourceType) string { return t.Name }), func(w io.Writer) {
			row(w, "TYPE", "OBJECTS", "ACTIONS", "FROM")
			for _, t := range all.Items {
				row(w, t.Name, t.Source, strings.ReplaceAll(each(t.Actions, func(a api.ResourceVerb) string { return a.Name }), "\n", " "), t.Path)
			}
		})
	}}
	show := &cobra.Command{Use: "show NAME", Short: "Print a type's file", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		cl, _, err := c.client(cmd.Context())
		if err != nil {
			return err
		}
		t, err := cl.ResourceType(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return c.show(t, t.Name, func(w io.Writer) { fmt.Fprint(w, text(t.Text)) })
	}}
	rm := &cobra.Command{Use: "rm NAME", Short: "Take a type away that no object is of", Args: exactly(1), RunE: func(cmd *cobra.Command, args []string) error {
		return c.ended(cmd, "removed", args[0], func(ctx context.Context, cl *attorn.Client) (api.Done, error) {
			return cl.RemoveResourceType(ctx, args[0])
		})
	}}
	return noun("type", "Types of objects, and what is done with them", add, ls, show, rm)
}

// typeName finds what a file says its type is called; the server reads all of it.
func typeName(text string) string {
	for l := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(l, "name:"); ok {
			return strings.Trim(strings.TrimSpace(rest), `"'`)
		}
	}
	return ""
}

func namesOf(all []api.ResourceName) string {
	var out []string
	for _, n := range all {
		out = append(out, n.Type+":"+n.ID)
	}
	return orDash(strings.Join(out, " "))
}

func attributesText(attributes map[string]jsontext.Value) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		out = append(out, name+"="+string(attributes[name]))
	}
	return orDash(strings.Join(out, " "))
}
