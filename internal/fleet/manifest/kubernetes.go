package manifest

// The objects of Kubernetes' API that a manifest has, with the fields that it sets. The
// names, and what they mean, are those of k8s.io/api (core/v1 and batch/v1); a test decodes
// what is written strictly into its types. k8s.io/api itself would make the program 9 MB
// larger.
type (
	object struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Metadata   metadata          `json:"metadata"`
		Spec       any               `json:"spec,omitempty"`
		Type       string            `json:"type,omitempty"`       // of a Secret
		Data       map[string][]byte `json:"data,omitempty"`       // of a Secret
		StringData map[string]string `json:"stringData,omitempty"` // of a Secret
	}
	metadata struct {
		Name      string            `json:"name,omitempty"`
		Namespace string            `json:"namespace,omitempty"`
		Labels    map[string]string `json:"labels,omitempty"`
	}

	serviceSpec struct {
		ClusterIP                string            `json:"clusterIP"`
		Selector                 map[string]string `json:"selector"`
		PublishNotReadyAddresses bool              `json:"publishNotReadyAddresses"`
		Ports                    []port            `json:"ports"`
	}
	port struct {
		Name          string `json:"name"`
		Port          int    `json:"port,omitempty"`
		ContainerPort int    `json:"containerPort,omitempty"`
	}

	jobSpec struct {
		CompletionMode          string            `json:"completionMode,omitempty"`
		Completions             int               `json:"completions"`
		Parallelism             int               `json:"parallelism"`
		BackoffLimitPerIndex    *int              `json:"backoffLimitPerIndex,omitempty"`
		BackoffLimit            *int              `json:"backoffLimit,omitempty"`
		PodFailurePolicy        *podFailurePolicy `json:"podFailurePolicy,omitempty"`
		TTLSecondsAfterFinished int               `json:"ttlSecondsAfterFinished"`
		Template                template          `json:"template"`
	}
	podFailurePolicy struct {
		Rules []podFailureRule `json:"rules"`
	}
	podFailureRule struct {
		Action          string         `json:"action"`
		OnExitCodes     *onExitCodes   `json:"onExitCodes,omitempty"`
		OnPodConditions []podCondition `json:"onPodConditions,omitempty"`
	}
	onExitCodes struct {
		ContainerName string `json:"containerName"`
		Operator      string `json:"operator"`
		Values        []int  `json:"values"`
	}
	podCondition struct {
		Type   string `json:"type"`
		Status string `json:"status"`
	}
	template struct {
		Metadata metadata `json:"metadata"`
		Spec     podSpec  `json:"spec"`
	}
	podSpec struct {
		RestartPolicy                 string             `json:"restartPolicy"`
		TerminationGracePeriodSeconds int                `json:"terminationGracePeriodSeconds"`
		AutomountServiceAccountToken  bool               `json:"automountServiceAccountToken"`
		EnableServiceLinks            bool               `json:"enableServiceLinks"`
		SecurityContext               podSecurity        `json:"securityContext"`
		TopologySpreadConstraints     []spreadConstraint `json:"topologySpreadConstraints,omitempty"`
		Containers                    []container        `json:"containers"`
		Volumes                       []volume           `json:"volumes"`
	}
	podSecurity struct {
		RunAsNonRoot   bool           `json:"runAsNonRoot"`
		RunAsUser      int            `json:"runAsUser"`
		RunAsGroup     int            `json:"runAsGroup"`
		FSGroup        int            `json:"fsGroup"`
		SeccompProfile seccompProfile `json:"seccompProfile"`
	}
	seccompProfile struct {
		Type string `json:"type"`
	}
	spreadConstraint struct {
		MaxSkew           int      `json:"maxSkew"`
		TopologyKey       string   `json:"topologyKey"`
		WhenUnsatisfiable string   `json:"whenUnsatisfiable"`
		LabelSelector     selector `json:"labelSelector"`
	}
	selector struct {
		MatchLabels map[string]string `json:"matchLabels"`
	}
	container struct {
		Name            string            `json:"name"`
		Image           string            `json:"image"`
		Command         []string          `json:"command"`
		Args            []string          `json:"args"`
		Env             []variable        `json:"env"`
		Ports           []port            `json:"ports,omitempty"`
		Resources       resources         `json:"resources"`
		SecurityContext containerSecurity `json:"securityContext"`
		VolumeMounts    []mount           `json:"volumeMounts"`
	}
	variable struct {
		Name      string       `json:"name"`
		Value     string       `json:"value,omitempty"`
		ValueFrom *valueSource `json:"valueFrom,omitempty"`
	}
	valueSource struct {
		SecretKeyRef *keyRef `json:"secretKeyRef"`
	}
	keyRef struct {
		Name string `json:"name"`
		Key  string `json:"key"`
	}
	resources struct {
		Requests map[string]string `json:"requests"`
		Limits   map[string]string `json:"limits"`
	}
	containerSecurity struct {
		AllowPrivilegeEscalation bool         `json:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool         `json:"readOnlyRootFilesystem"`
		Capabilities             capabilities `json:"capabilities"`
	}
	capabilities struct {
		Drop []string `json:"drop"`
	}
	mount struct {
		Name      string `json:"name"`
		MountPath string `json:"mountPath"`
		ReadOnly  bool   `json:"readOnly,omitempty"`
	}
	volume struct {
		Name                  string        `json:"name"`
		EmptyDir              *struct{}     `json:"emptyDir,omitempty"`
		Secret                *secretVolume `json:"secret,omitempty"`
		PersistentVolumeClaim *claimVolume  `json:"persistentVolumeClaim,omitempty"`
	}
	secretVolume struct {
		SecretName  string    `json:"secretName"`
		DefaultMode int       `json:"defaultMode"`
		Items       []keyPath `json:"items"`
	}
	keyPath struct {
		Key  string `json:"key"`
		Path string `json:"path"`
	}
	claimVolume struct {
		ClaimName string `json:"claimName"`
	}
)
