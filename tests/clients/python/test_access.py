"""Who may do what: reviews, tokens, roles; and what a server tells of itself."""

from kubernetes import client

from cluster import Case


class Access(Case):
    def test_access_is_reviewed(self):
        reviews = client.AuthorizationV1Api()
        attributes = client.V1ResourceAttributes(verb="delete", resource="pods", namespace=self.namespace)
        own = reviews.create_self_subject_access_review(
            client.V1SelfSubjectAccessReview(
                spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
            )
        )
        self.assertTrue(own.status.allowed)
        spec = client.V1SubjectAccessReviewSpec(user="jane", resource_attributes=attributes)
        other = reviews.create_subject_access_review(client.V1SubjectAccessReview(spec=spec))
        self.assertFalse(other.status.allowed)
        rules = reviews.create_self_subject_rules_review(
            client.V1SelfSubjectRulesReview(spec=client.V1SelfSubjectRulesReviewSpec(namespace=self.namespace))
        )
        self.assertTrue(any(rule.verbs == ["*"] for rule in rules.status.resource_rules))
        self.assertFalse(rules.status.incomplete)
        who = client.AuthenticationV1Api().create_self_subject_review(client.V1SelfSubjectReview())
        self.assertIn("system:masters", who.status.user_info.groups)

    def test_a_service_account_may_do_what_its_role_says(self):
        self.core.create_namespaced_service_account(self.namespace, {"metadata": {"name": "robot"}})
        request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[]))
        token = self.core.create_namespaced_service_account_token("robot", self.namespace, request).status.token
        own = client.Configuration.get_default_copy()
        own.cert_file = own.key_file = None
        own.api_key = {"authorization": f"Bearer {token}"}
        own.api_key_prefix = {}
        robot = client.CoreV1Api(client.ApiClient(own))
        with self.refused(403, "Forbidden") as error:
            robot.list_namespaced_pod(self.namespace)
        user = f"system:serviceaccount:{self.namespace}:robot"
        expected = f'pods is forbidden: User "{user}" cannot list resource "pods" in API group "" in the namespace'
        self.assertEqual(error.body["message"], f'{expected} "{self.namespace}"')

        rbac = client.RbacAuthorizationV1Api()
        rule = client.V1PolicyRule(api_groups=[""], resources=["pods", "pods/log"], verbs=["get", "list", "watch"])
        rbac.create_namespaced_role(
            self.namespace, client.V1Role(metadata=client.V1ObjectMeta(name="reader"), rules=[rule])
        )
        rbac.create_namespaced_role_binding(
            self.namespace,
            client.V1RoleBinding(
                metadata=client.V1ObjectMeta(name="reader"),
                role_ref=client.V1RoleRef(api_group="rbac.authorization.k8s.io", kind="Role", name="reader"),
                subjects=[client.RbacV1Subject(kind="ServiceAccount", name="robot", namespace=self.namespace)],
            ),
        )

        def allowed():
            try:
                return robot.list_namespaced_pod(self.namespace)
            except client.ApiException as error:
                self.assertEqual(error.status, 403)
                return None

        self.assertEqual(self.eventually("the role is in force", allowed).items, [])
        with self.refused(403, "Forbidden"):
            robot.delete_namespaced_pod("any", self.namespace)
        own.api_key = {"authorization": "Bearer nonsense"}
        with self.refused(401, "Unauthorized"):
            client.CoreV1Api(client.ApiClient(own)).list_namespaced_pod(self.namespace)

    def test_names_with_colons_are_found(self):
        role = client.RbacAuthorizationV1Api().read_cluster_role("system:discovery")
        self.assertEqual(role.metadata.name, "system:discovery")

    def test_what_is_served_is_told(self):
        version = client.VersionApi().get_code()
        self.assertEqual((version.major, version.minor), ("1", "36"))
        self.assertEqual(client.CoreApi().get_api_versions().versions, ["v1"])
        groups = {group.name: group.preferred_version.version for group in client.ApisApi().get_api_versions().groups}
        self.assertEqual((groups["apps"], groups["autoscaling"]), ("v1", "v2"))
        resources = {resource.name: resource for resource in self.core.get_api_resources().resources}
        self.assertEqual((resources["pods"].kind, resources["pods"].short_names), ("Pod", ["po"]))
        self.assertEqual(resources["pods/eviction"].version, "v1")
        self.assertFalse(resources["nodes"].namespaced)
        issuer = client.WellKnownApi().get_service_account_issuer_open_id_configuration()
        self.assertIn("jwks_uri", issuer)

    def test_a_pod_is_evicted_and_an_event_told(self):
        self.run_pod("leaves")
        name = client.V1ObjectMeta(name="leaves")
        status = self.core.create_namespaced_pod_eviction("leaves", self.namespace, client.V1Eviction(metadata=name))
        # The client takes the answer for an Eviction: what matters is that it can read it.
        self.assertIsNotNone(status)

        def gone():
            pods = self.core.list_namespaced_pod(self.namespace, field_selector="metadata.name=leaves")
            return not pods.items

        self.eventually("the pod is gone", gone)
        events = self.core.list_namespaced_event(self.namespace, field_selector="involvedObject.name=leaves")
        self.assertIn("Scheduled", [event.reason for event in events.items])
