"""CoreV1Api and its like: create, read, list, replace, patch and delete."""

from kubernetes import client

from cluster import Case, map_of


class Objects(Case):
    def test_an_object_is_created_read_replaced_and_deleted(self):
        made = self.core.create_namespaced_config_map(self.namespace, map_of("one"), field_manager="py")
        self.assertEqual(made.metadata.managed_fields[0].manager, "py")
        with self.refused(409, "AlreadyExists") as error:
            self.core.create_namespaced_config_map(self.namespace, map_of("one"))
        self.assertEqual(error.body["message"], 'configmaps "one" already exists')
        self.assertEqual(error.body["details"], {"name": "one", "kind": "configmaps"})

        first = self.core.read_namespaced_config_map("one", self.namespace)
        self.assertEqual((first.data, first.kind, first.api_version), ({"k": "v"}, "ConfigMap", "v1"))
        second = self.core.read_namespaced_config_map("one", self.namespace)
        first.data["k"] = "w"
        replaced = self.core.replace_namespaced_config_map("one", self.namespace, first)
        self.assertEqual((replaced.data["k"], replaced.metadata.uid), ("w", made.metadata.uid))
        self.assertEqual(replaced.metadata.creation_timestamp, made.metadata.creation_timestamp)
        with self.refused(409, "Conflict") as error:
            self.core.replace_namespaced_config_map("one", self.namespace, second)
        self.assertIn("the object has been modified", error.body["message"])

        status = self.core.delete_namespaced_config_map("one", self.namespace)
        self.assertEqual((status["status"], status["details"]["uid"]), ("Success", made.metadata.uid))
        with self.refused(404, "NotFound") as error:
            self.core.read_namespaced_config_map("one", self.namespace)
        self.assertEqual(error.body["message"], 'configmaps "one" not found')

    def test_a_dry_run_leaves_nothing(self):
        self.core.create_namespaced_config_map(self.namespace, map_of("dry"), dry_run="All")
        with self.refused(404, "NotFound"):
            self.core.read_namespaced_config_map("dry", self.namespace)
        self.core.create_namespaced_config_map(self.namespace, map_of("dry"))
        self.core.delete_namespaced_config_map("dry", self.namespace, dry_run="All")
        patched = self.core.patch_namespaced_config_map("dry", self.namespace, {"data": {"k": "x"}}, dry_run="All")
        self.assertEqual(patched.data["k"], "x")
        self.assertEqual(self.core.read_namespaced_config_map("dry", self.namespace).data["k"], "v")
        with self.refused(422, "Invalid") as error:
            self.core.create_namespaced_config_map(self.namespace, map_of("some"), dry_run="Some")
        self.assertIn('dryRun: Unsupported value: "Some"', error.body["message"])

    def test_every_cause_is_told(self):
        with self.refused(422, "Invalid") as error:
            self.core.create_namespaced_config_map(self.namespace, map_of("No", labels={"-": "x"}))
        causes = {cause["field"]: cause["reason"] for cause in error.body["details"]["causes"]}
        self.assertEqual(causes, {"metadata.name": "FieldValueInvalid", "metadata.labels": "FieldValueInvalid"})
        # The client's own classes let nothing unknown through; what a patch is made of it does not look at.
        self.core.create_namespaced_config_map(self.namespace, map_of("strict"))
        with self.refused(422, "Invalid") as error:
            self.core.patch_namespaced_config_map(
                "strict", self.namespace, {"date": {}}, field_validation="Strict"
            )
        self.assertIn('strict decoding error: unknown field "date"', error.body["message"])
        with self.refused(404, "NotFound"):
            self.core.create_namespaced_config_map("nowhere", map_of("x"))

    def test_lists_come_in_pages(self):
        for index in range(5):
            self.core.create_namespaced_config_map(self.namespace, map_of(f"page-{index}", labels={"of": "pages"}))
        names, token, versions = [], None, set()
        while True:
            page = self.core.list_namespaced_config_map(
                self.namespace, label_selector="of=pages", limit=2, _continue=token
            )
            names += [item.metadata.name for item in page.items]
            versions.add(page.metadata.resource_version)
            token = page.metadata._continue
            if not token:
                break
        self.assertEqual(names, [f"page-{index}" for index in range(5)])
        self.assertEqual(len(versions), 1, "all pages are of one revision")
        whole = self.core.list_namespaced_config_map(self.namespace, limit=2)
        self.assertGreaterEqual(whole.metadata.remaining_item_count, 3)
        with self.refused(400, "BadRequest"):
            self.core.list_namespaced_config_map(self.namespace, _continue="no token")
        with self.refused(400, "BadRequest"):
            self.core.list_namespaced_config_map(self.namespace, label_selector="a in b")
        with self.refused(400, "BadRequest"):
            self.core.list_namespaced_config_map(self.namespace, field_selector="data.k=v")
        gone = self.core.delete_collection_namespaced_config_map(self.namespace, label_selector="of=pages")
        self.assertEqual(gone.kind, "ConfigMapList")
        self.assertEqual(self.core.list_namespaced_config_map(self.namespace, label_selector="of=pages").items, [])

    def test_fields_of_every_sort_come_back(self):
        secret = client.V1Secret(
            metadata=client.V1ObjectMeta(generate_name="made-"), string_data={"a": "text"}, data={"b": "AAEC"}
        )
        made = self.core.create_namespaced_secret(self.namespace, secret)
        self.assertRegex(made.metadata.name, "^made-.{5}$")
        self.assertEqual((made.data, made.type), ({"a": "dGV4dA==", "b": "AAEC"}, "Opaque"))
        service = self.core.create_namespaced_service(
            self.namespace,
            client.V1Service(
                metadata=client.V1ObjectMeta(name="web"),
                spec=client.V1ServiceSpec(
                    selector={"app": "web"},
                    ports=[
                        client.V1ServicePort(name="a", port=80, target_port="http"),
                        client.V1ServicePort(name="b", port=81, target_port=8081),
                    ],
                ),
            ),
        )
        self.assertEqual([port.target_port for port in service.spec.ports], ["http", 8081])
        self.assertEqual((service.spec.type, service.spec.ip_families), ("ClusterIP", ["IPv4"]))
        pod = self.core.create_namespaced_pod(
            self.namespace,
            client.V1Pod(
                metadata=client.V1ObjectMeta(name="sized"),
                spec=client.V1PodSpec(
                    containers=[
                        client.V1Container(
                            name="c",
                            image="sim",
                            resources=client.V1ResourceRequirements(requests={"cpu": "0.5", "memory": "1Gi"}),
                        )
                    ]
                ),
            ),
        )
        self.assertEqual(pod.spec.containers[0].resources.requests, {"cpu": "500m", "memory": "1Gi"})
        self.assertEqual((pod.status.phase, pod.status.qos_class), ("Pending", "Burstable"))
        # Every list there is can be read into the client's classes.
        for read in (
            self.core.list_node,
            self.core.list_namespace,
            self.core.list_event_for_all_namespaces,
            self.core.list_endpoints_for_all_namespaces,
            self.core.list_service_account_for_all_namespaces,
            client.AppsV1Api().list_deployment_for_all_namespaces,
            client.BatchV1Api().list_job_for_all_namespaces,
            client.CoordinationV1Api().list_lease_for_all_namespaces,
            client.DiscoveryV1Api().list_endpoint_slice_for_all_namespaces,
            client.FlowcontrolApiserverV1Api().list_flow_schema,
            client.NetworkingV1Api().list_ingress_for_all_namespaces,
            client.RbacAuthorizationV1Api().list_cluster_role,
            client.RbacAuthorizationV1Api().list_role_binding_for_all_namespaces,
            client.SchedulingV1Api().list_priority_class,
            client.StorageV1Api().list_storage_class,
            client.ApiregistrationV1Api().list_api_service,
            client.AdmissionregistrationV1Api().list_validating_webhook_configuration,
        ):
            self.assertTrue(read().metadata.resource_version, read.__name__)

    def test_deletion_has_options(self):
        self.core.create_namespaced_config_map(self.namespace, map_of("kept"))
        options = client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="another"))
        with self.refused(409, "Conflict") as error:
            self.core.delete_namespaced_config_map("kept", self.namespace, body=options)
        self.assertIn("Precondition failed: UID in precondition: another", error.body["message"])
        self.run_pod("slow", {"SIM_STOP_MS": "200"})
        pod = self.core.delete_namespaced_pod("slow", self.namespace, grace_period_seconds=7)
        self.assertEqual(pod.metadata.deletion_grace_period_seconds, 7)

        def gone():
            pods = self.core.list_namespaced_pod(self.namespace, field_selector="metadata.name=slow")
            return not pods.items

        self.eventually("the pod is gone", gone)


class Patches(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.apps = client.AppsV1Api()

    def deployment(self, name):
        containers = [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}}
        spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
        return self.apps.create_namespaced_deployment(self.namespace, {"metadata": {"name": name}, "spec": spec})

    def patch(self, name, body, content_type, **options):
        patched = self.apps.patch_namespaced_deployment(
            name, self.namespace, body, _content_type=content_type, **options
        )
        return [container.image for container in patched.spec.template.spec.containers]

    def test_each_type_of_patch_is_merged_its_own_way(self):
        self.deployment("web")
        new = {"spec": {"template": {"spec": {"containers": [{"name": "b", "image": "b:2"}]}}}}
        self.assertEqual(self.patch("web", new, "application/strategic-merge-patch+json"), ["a:1", "b:2"])
        self.assertEqual(self.patch("web", new, "application/merge-patch+json"), ["b:2"])
        at = "/spec/template/spec/containers/0/image"
        replace = [{"op": "test", "path": at, "value": "b:2"}, {"op": "replace", "path": at, "value": "b:3"}]
        self.assertEqual(self.patch("web", replace, "application/json-patch+json"), ["b:3"])
        with self.refused(422, "Invalid"):
            self.patch("web", replace, "application/json-patch+json")
        # Without a type the client takes the one that fits the body's.
        self.assertEqual(self.patch("web", [{"op": "replace", "path": at, "value": "b:4"}], None), ["b:4"])
        with self.refused(415, "UnsupportedMediaType"):
            self.patch("web", new, "application/json")

    def test_server_side_apply(self):
        def apply(manager, containers, **options):
            template = {"metadata": {"labels": {"app": "ssa"}}, "spec": {"containers": containers}}
            spec = {"selector": {"matchLabels": {"app": "ssa"}}, "template": template}
            body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "ssa"}, "spec": spec}
            return self.patch("ssa", body, "application/apply-patch+yaml", field_manager=manager, **options)

        first, second = {"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}
        self.assertEqual(apply("one", [first]), ["a:1"])
        self.assertEqual(apply("two", [second]), ["a:1", "b:1"])
        with self.refused(409, "Conflict") as error:
            apply("two", [{"name": "a", "image": "a:2"}, second])
        cause = error.body["details"]["causes"][0]
        self.assertEqual(cause["reason"], "FieldManagerConflict")
        self.assertEqual(cause["field"], '.spec.template.spec.containers[name="a"].image')
        self.assertEqual(apply("two", [{"name": "a", "image": "a:2"}, second], force=True), ["a:2", "b:1"])
        with self.refused(422, "Invalid"):
            self.patch("ssa", {"apiVersion": "apps/v1", "kind": "Deployment"}, "application/apply-patch+yaml")

    def test_subresources_are_patched_apart(self):
        self.deployment("parts")
        scale = self.apps.patch_namespaced_deployment_scale("parts", self.namespace, {"spec": {"replicas": 3}})
        self.assertEqual((scale.kind, scale.spec.replicas, scale.status.selector), ("Scale", 3, "app=parts"))
        read = self.apps.read_namespaced_deployment_scale("parts", self.namespace)
        self.assertEqual(read.spec.replicas, 3)
        condition = {"type": "Available", "status": "True", "reason": "r", "message": "m"}
        body = {"spec": {"replicas": 9}, "status": {"conditions": [condition], "replicas": 2}}
        patched = self.apps.patch_namespaced_deployment_status("parts", self.namespace, body)
        self.assertEqual((patched.spec.replicas, patched.status.replicas), (3, 2))
        self.assertEqual(patched.status.conditions[0].type, "Available")
