package evidence

// Kind says what an event is about. The list is closed; a verifier calls an event of another kind authentic, its meaning unknown.
type Kind string

// The kinds that this version writes.
const (
	WorkspaceCreated Kind = "workspace.created"
	WorkspaceChanged Kind = "workspace.changed"

	UserAdded          Kind = "user.added"
	UserSignedIn       Kind = "user.signed_in"
	UserSignInFailed   Kind = "user.sign_in_failed"
	UserChanged        Kind = "user.changed"
	UserPasskeyChanged Kind = "user.passkey_changed"
	UserSuspended      Kind = "user.suspended"
	UserResumed        Kind = "user.resumed"

	GroupChanged Kind = "group.changed"

	AgentRegistered Kind = "agent.registered"
	AgentApproved   Kind = "agent.approved"
	AgentChanged    Kind = "agent.changed"
	AgentSuspended  Kind = "agent.suspended"
	AgentResumed    Kind = "agent.resumed"
	AgentRevoked    Kind = "agent.revoked"

	InstanceEnrolled  Kind = "instance.enrolled"
	InstanceSpawned   Kind = "instance.spawned"
	InstanceRotated   Kind = "instance.rotated"
	InstanceSeen      Kind = "instance.seen" // at a place where it had not been before
	InstanceSuspended Kind = "instance.suspended"
	InstanceResumed   Kind = "instance.resumed"
	InstanceRevoked   Kind = "instance.revoked"

	ClientRegistered Kind = "client.registered"
	ClientChanged    Kind = "client.changed" // a rule about apps
	ClientRemoved    Kind = "client.removed"

	DelegationLent      Kind = "delegation.lent"
	DelegationRefused   Kind = "delegation.refused"
	DelegationExhausted Kind = "delegation.exhausted"
	DelegationReplaced  Kind = "delegation.replaced" // narrowed or renewed: another one took its place
	DelegationRevoked   Kind = "delegation.revoked"

	TokenIssued  Kind = "token.issued"
	TokenRefused Kind = "token.refused"
	TokenRevoked Kind = "token.revoked"

	DecisionMade Kind = "decision.made"

	ToolStarted  Kind = "tool.started" // the decision itself: outcome permit
	ToolFinished Kind = "tool.finished"
	ToolRefused  Kind = "tool.refused"
	ToolAdded    Kind = "tool.added"
	ToolPinned   Kind = "tool.pinned"
	ToolDrifted  Kind = "tool.drifted"

	ToolSuspended Kind = "tool.suspended"
	ToolResumed   Kind = "tool.resumed"

	ServerAdded   Kind = "server.added"
	ServerRemoved Kind = "server.removed"

	ApprovalAsked     Kind = "approval.asked"
	ApprovalVoted     Kind = "approval.voted"
	ApprovalApproved  Kind = "approval.approved"
	ApprovalDenied    Kind = "approval.denied"
	ApprovalExpired   Kind = "approval.expired"
	ApprovalCancelled Kind = "approval.cancelled"
	ApprovalVoided    Kind = "approval.voided"

	BindingAdded       Kind = "binding.added"
	BindingRemoved     Kind = "binding.removed"
	BindingActivated   Kind = "binding.activated"
	BindingDeactivated Kind = "binding.deactivated"
	BindingKept        Kind = "binding.kept" // a reviewer looked at it and let it stand

	DutiesChanged Kind = "duties.changed" // which roles are held apart

	PolicyPublished Kind = "policy.published"

	ResourceChanged Kind = "resource.changed" // an object of a resource type that is kept here

	KeyCreated   Kind = "key.created"
	KeyPublished Kind = "key.published"
	KeyRetired   Kind = "key.retired"

	LogOpened   Kind = "log.opened"
	LogClosed   Kind = "log.closed"
	LogRead     Kind = "log.read"
	LogRevealed Kind = "log.revealed"
	LogExported Kind = "log.exported"

	SystemStarted  Kind = "system.started"
	SystemStopped  Kind = "system.stopped"
	SystemMigrated Kind = "system.migrated"
)

// kinds lists every kind, and whether an event of it may change a later decision: nodes read those to end what they cached, and retention keeps their
// bodies.
var kinds = map[Kind]bool{
	WorkspaceCreated:    false,
	WorkspaceChanged:    true,
	UserAdded:           true,
	UserSignedIn:        false,
	UserSignInFailed:    false,
	UserChanged:         true,
	UserPasskeyChanged:  true,
	UserSuspended:       true,
	UserResumed:         true,
	GroupChanged:        true,
	AgentRegistered:     true,
	AgentApproved:       true,
	AgentChanged:        true,
	AgentSuspended:      true,
	AgentResumed:        true,
	AgentRevoked:        true,
	InstanceEnrolled:    true,
	InstanceSpawned:     true,
	InstanceRotated:     true,
	InstanceSeen:        false,
	InstanceSuspended:   true,
	InstanceResumed:     true,
	InstanceRevoked:     true,
	ClientRegistered:    false,
	ClientChanged:       true,
	ClientRemoved:       true,
	DelegationLent:      false,
	DelegationRefused:   false,
	DelegationExhausted: true,
	DelegationReplaced:  true,
	DelegationRevoked:   true,
	TokenIssued:         false,
	TokenRefused:        false,
	TokenRevoked:        true,
	DecisionMade:        false,
	ToolStarted:         false,
	ToolFinished:        false,
	ToolRefused:         false,
	ToolAdded:           true,
	ToolPinned:          true,
	ToolDrifted:         true,
	ToolSuspended:       true,
	ToolResumed:         true,
	ServerAdded:         true,
	ServerRemoved:       true,
	ApprovalAsked:       false,
	ApprovalVoted:       false,
	ApprovalApproved:    false,
	ApprovalDenied:      false,
	ApprovalExpired:     false,
	ApprovalCancelled:   false,
	ApprovalVoided:      false,
	BindingAdded:        true,
	BindingRemoved:      true,
	BindingActivated:    true,
	BindingDeactivated:  true,
	BindingKept:         false,
	DutiesChanged:       true,
	PolicyPublished:     true,
	ResourceChanged:     true,
	KeyCreated:          false,
	KeyPublished:        true,
	KeyRetired:          true,
	LogOpened:           false,
	LogClosed:           false,
	LogRead:             false,
	LogRevealed:         false,
	LogExported:         false,
	SystemStarted:       false,
	SystemStopped:       false,
	SystemMigrated:      false,
}

// Alters reports whether an event of kind k can change a later decision.
func (k Kind) Alters() bool { return kinds[k] }

// Known reports whether this version knows what an event of kind k means.
func (k Kind) Known() bool {
	_, ok := kinds[k]
	return ok
}
