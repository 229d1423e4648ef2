package otlp

import (
	"strconv"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
)

// commonKeyValue is an attribute as text.
type commonKeyValue struct{ key, value string }

func asStrings(list []*commonpb.KeyValue) (all []*commonKeyValue) {
	for _, a := range list {
		text := ""
		switch v := a.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			text = v.StringValue
		case *commonpb.AnyValue_IntValue:
			text = strconv.FormatInt(v.IntValue, 10)
		case *commonpb.AnyValue_BoolValue:
			text = strconv.FormatBool(v.BoolValue)
		case *commonpb.AnyValue_DoubleValue:
			text = strconv.FormatFloat(v.DoubleValue, 'g', -1, 64)
		}
		all = append(all, &commonKeyValue{a.Key, text})
	}
	return all
}
