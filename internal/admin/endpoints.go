package admin

import "github.com/attorn/attorn/internal/guard"

// endpoints are what answers each route of package api, by its name.
func endpoints() map[string]endpoint {
	return map[string]endpoint{
		"SignIn": on(signIn), "Me": on(me),
		"Invite": on(invite), "Users": on(users), "FindUser": on(findUser), "UserDetail": on(userDetail), "NewLink": on(newLink), "SuspendUser": on(endUser("suspend")), "ResumeUser": on(endUser("resume")),

		"Recover": on(recoverUser), "SignOutEverywhere": on(signOutEverywhere), "UserKeys": on(userKeys), "EndUserKey": on(endUserKey),
		"AddMember": on(addMember), "RemoveMember": on(removeMember),

		"CreateGroup": on(createGroup), "Groups": on(groups), "Group": on(oneGroup), "DeleteGroup": on(deleteGroup),
		"AddToGroup": on(addToGroup), "RemoveFromGroup": on(removeFromGroup),

		"CreateWorkspace": on(createWorkspace), "Workspaces": on(workspaces), "Workspace": on(oneWorkspace), "SetWorkspace": on(setWorkspace),

		"CreateAgent": on(createAgent), "Agents": on(listAgents), "Agent": on(findAgent), "AgentDetail": on(agentDetail), "OfferEnrolment": on(offerEnrolment),
		"ChangeAgent": on(changeAgent), "HandOver": on(handOver), "ApproveAgent": on(approveAgent), "BulkAgents": on(bulkAgents), "ImportAgents": on(importAgents),
		"SuspendAgent": on(endAgent("suspend")), "ResumeAgent": on(endAgent("resume")), "RevokeAgent": on(endAgent("revoke")),
		"Instances": on(instances), "SuspendInstance": on(endInstance("suspend")), "ResumeInstance": on(endInstance("resume")),
		"RevokeInstance": on(endInstance("revoke")), "Line": on(line), "Rotate": on(rotate), "Spawn": on(spawn), "Enrol": on(enrol),

		"Device": on(device), "ConfirmDevice": on(confirmDevice), "DenyDevice": on(denyDevice),

		"AddTrustRule": on(addTrustRule), "TrustRules": on(trustRules), "TrustRule": on(oneTrustRule), "RemoveTrustRule": on(removeTrustRule), "TestTrust": on(testTrust),
		"TrustIssuer": on(trustIssuer), "TrustedIssuers": on(trustedIssuers), "TrustedIssuer": on(oneTrustedIssuer), "RemoveIssuer": on(removeIssuer),

		"Lend": on(lend), "Delegations": on(delegations), "Delegation": on(oneDelegation), "Chain": on(chain), "Tree": on(tree), "Replace": on(replace),
		"RevokeDelegation": on(revokeDelegation),

		"AddServer": on(addServer), "Servers": on(servers), "Server": on(oneServer), "RemoveServer": on(removeServer), "Tools": on(tools),
		"PinTool": on(pinTool), "AddService": on(addService), "Services": on(listServices), "RemoveService": on(removeService),

		"Apps": on(consentedApps), "App": on(showApp), "InviteApp": on(inviteApp), "RemoveApp": on(removeApp),
		"ClientRules": on(clientRules), "SetClientRule": on(setClientRule), "RemoveClientRule": on(removeClientRule),

		"Kill": on(kill), "ResumeTool": on(resumeTool), "ResumeWorkspace": on(resumeWorkspace), "Feed": on(feed), "Confirmations": on(confirmations),

		"Publish": on(publish), "Rollback": on(rollback), "Policy": on(livePolicy), "PolicySchema": on(policySchema), "Bundle": on(oneBundle), "PolicyLog": on(policyLog),
		"Bind": on(bind), "Unbind": on(unbind), "Bindings": on(bindings), "Activate": on(activate), "Deactivate": on(deactivate),
		"Duties": on(listDuties), "SetDuties": on(setDuties), "RemoveDuties": on(removeDuties),
		"Permissions": on(permissions),

		"Replay": on(replay),

		"ResourceTypes": on(resourceTypes), "ResourceType": on(oneResourceType), "SetResourceType": on(setResourceType), "RemoveResourceType": on(removeResourceType),
		"Resources": on(listResources), "Resource": on(oneResource), "SetResource": on(setResource), "RemoveResource": on(removeResource),

		"Evaluation": evaluation, "Evaluations": evaluations,
		"SearchSubject": search(guard.ForSubjects), "SearchResource": search(guard.ForResources), "SearchAction": search(guard.ForActions),

		"Approvals": on(listApprovals), "Approval": on(oneApproval), "ProposeVote": on(proposeVote), "Vote": on(vote), "CancelApproval": on(cancelApproval),

		"Events": on(events), "Event": on(oneEvent), "Why": on(why), "Pack": on(pack), "Head": on(head), "Trust": on(trust),

		"Explain": on(explainDecision), "ExplainWith": on(explainWith), "Simulate": on(simulate),

		"Keys": on(serverKeys), "RotateKey": on(rotateKey),
	}
}
