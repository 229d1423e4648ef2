package script

// Moments are events of a run at which servers do something, by the host of the server; the
// event of "" is for all servers. In YAML, an event for all servers is its name alone.
type Moments map[string]string

// Of returns the event for the server on that host; "": there is none.
func (m Moments) Of(host string) string {
	if event, own := m[host]; own {
		return event
	}
	return m[""]
}

// on returns m as the server on that host has it: with one event for all servers, or none.
func (m Moments) on(host string) Moments {
	if event := m.Of(host); event != "" {
		return Moments{"": event}
	}
	return nil
}

// Path returns the path of the event for host in the field.
func (m Moments) Path(field, host string) string {
	if host == "" {
		return field
	}
	return field + "." + host
}

// UnmarshalYAML reads the name of an event, or a map from hosts to names.
func (m *Moments) UnmarshalYAML(decode func(any) error) error {
	var all string
	if decode(&all) == nil {
		*m = Moments{"": all}
		return nil
	}
	var byHost map[string]string
	err := decode(&byHost)
	*m = byHost
	return err
}

// MarshalYAML writes the name of an event for all servers, or a map.
func (m Moments) MarshalYAML() (any, error) {
	if all, only := m[""]; only && len(m) == 1 {
		return all, nil
	}
	return map[string]string(m), nil
}
