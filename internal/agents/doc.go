// Package agents is the room of agents and their instances.
//
// Owns: agents with their owners and tags, instances with their keys, the lifecycle of both, and which owners cannot act any more.
//
// Promises: a key that was once an instance of any agent is never an instance again, so a thumbprint names one instance for ever; status
// changes go only along the legal transitions, each in one conditional statement; a revoked agent or instance stays revoked; an agent's
// name is never given to another one.
//
// Tables: agent, instance, instance_place, agent_tag, agent_pause, owner_gone, trust_rule, presented.
package agents
