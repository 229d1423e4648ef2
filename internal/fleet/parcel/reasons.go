package parcel

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Errors of JetStream when its disk is full, or an account's share of it is used up.
var noRoom = map[jetstream.ErrorCode]bool{
	10023: true, // insufficient resources
	10047: true, // storage resources exceeded
	10077: true, // the message could not be stored
}

// inWords says what an error of NATS means here, and keeps it for errors.Is.
func inWords(err error) error {
	refused := new(jetstream.APIError)
	words := ""
	switch {
	case err == nil || final(err):
	case errors.As(err, &refused) && noRoom[refused.ErrorCode]:
		words = "the broker has no room: free space on its disk and start it again"
	case errors.Is(err, jetstream.ErrStreamNotFound):
		words = "the broker does not have the run's stream: the controller makes it"
	case errors.Is(err, nats.ErrReconnectBufExceeded):
		words = "the broker is away"
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		words = "the broker's JetStream does not respond: it is starting, or its disk is full"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		words = "the broker did not respond in time"
	}
	if words == "" {
		return err
	}
	return fmt.Errorf("%s (%w)", words, err)
}
