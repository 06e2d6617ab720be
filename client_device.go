package attorn

import (
	"context"

	"github.com/attorn/attorn/api"
)

// Device reads what waits for a person to confirm it, under the code that it shows.
func (c *Client) Device(ctx context.Context, userCode string) (api.Device, error) {
	return ask[api.Device](ctx, c.door, "Device", []string{userCode}, nil, nil)
}

// ConfirmDevice gives the waiting key what it asks for, in the person's own authority. What was shown is what is confirmed only while the code is the same:
// read it right before.
func (c *Client) ConfirmDevice(ctx context.Context, userCode string, in api.ConfirmDevice) (api.DeviceMade, error) {
	return ask[api.DeviceMade](ctx, c.door, "ConfirmDevice", []string{userCode}, nil, in)
}

// DenyDevice refuses it.
func (c *Client) DenyDevice(ctx context.Context, userCode string) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "DenyDevice", []string{userCode}, nil, struct{}{})
}
