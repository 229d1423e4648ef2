package dashboard

import "encoding/json"

// object is a JSON object.
type object = map[string]any

const (
	columns = 24 // of Grafana's grid
	width   = 8
	height  = 8
	// schemaVersion is that of Grafana 10.4, the oldest that the dashboard is written for.
	schemaVersion = 39
)

// source is the data source that the user chooses.
var source = object{"type": "prometheus", "uid": "${datasource}"}

// Grafana returns the dashboard as JSON, to import or to provision.
func Grafana() []byte {
	text, err := json.MarshalIndent(object{
		"uid": "kabench", "title": "kabench", "tags": []string{"kabench", "http", "connection pool"},
		"description":   "Runs of kabench, and the connection pools of services beside them.",
		"schemaVersion": schemaVersion, "editable": true, "graphTooltip": 1, "refresh": "5s",
		"time": object{"from": "now-15m", "to": "now"}, "timezone": "browser",
		"templating": object{"list": []object{
			{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0},
			{
				"name": "run", "label": "Run", "type": "query", "datasource": source, "query": "label_values(kabench_run_info, kabench_run)",
				"refresh": 2, "multi": true, "includeAll": true, "allValue": ".*", "sort": 1, "current": object{"text": "All", "value": "$__all"},
			},
		}},
		"panels": panels(),
	}, "", "  ")
	if err != nil {
		panic(err) // cannot happen: everything has a JSON form
	}
	return append(text, '\n')
}

func panels() []object {
	var list []object
	id, y := 0, 0
	add := func(p, at object) {
		id++
		p["id"], p["gridPos"] = id, at
		list = append(list, p)
	}
	for _, row := range Rows {
		add(object{"type": "row", "title": row.Title, "collapsed": false, "panels": []object{}}, object{"x": 0, "y": y, "w": columns, "h": 1})
		y++
		for i, p := range row.Panels {
			if i > 0 && i%(columns/width) == 0 {
				y += height
			}
			add(panel(p), object{"x": i % (columns / width) * width, "y": y, "w": width, "h": height})
		}
		y += height
	}
	return list
}

func panel(p Panel) object {
	var targets []object
	for i, q := range p.Queries {
		targets = append(targets, object{"refId": string(rune('A' + i)), "datasource": source, "expr": q.Expr, "legendFormat": q.Legend, "editorMode": "code", "range": true})
	}
	return object{
		"type": "timeseries", "title": p.Title, "description": p.About, "datasource": source, "targets": targets,
		"fieldConfig": object{
			"defaults":  object{"unit": p.Unit, "min": 0, "custom": object{"lineWidth": 1, "fillOpacity": 5, "showPoints": "auto", "spanNulls": false}},
			"overrides": []object{},
		},
		"options": object{
			"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": true},
			"tooltip": object{"mode": "multi", "sort": "desc"},
		},
	}
}
