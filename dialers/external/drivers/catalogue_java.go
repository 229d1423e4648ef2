package drivers

import "slices"

// javaKit are the sources that all drivers in Java share.
var javaKit = []string{"java/kit/Kit.java", "java/kit/Writer.java", "java/kit/Call.java", "java/kit/Config.java", "java/kit/Json.java", "java/kit/TimedOut.java", "java/kit/TrustAll.java"}

// java returns the sources of a driver in Java.
func java(files ...string) []string {
	sources := slices.Clone(javaKit)
	for _, f := range files {
		sources = append(sources, "java/"+f+".java")
	}
	return sources
}

// Packages of the drivers in Java. What they depend on has exact versions in their own descriptions.
const (
	reactorNetty = "io.projectreactor.netty:reactor-netty-http:1.3.6"
	okhttp4      = "com.squareup.okhttp3:okhttp:4.12.0"
	okhttp5      = "com.squareup.okhttp3:okhttp-jvm:5.5.1"
	hc5          = "org.apache.httpcomponents.client5:httpclient5:5.6.5"
)

// javaDrivers are the drivers in Java.
var javaDrivers = []Entry{
	{
		Name: "reactor-netty", Client: "Reactor Netty", Version: "1.3.6", Language: Java,
		Preset:  []string{"reactor-netty"},
		Note:    "HttpClient.create()",
		Sources: java("ReactorPool", "ReactorNetty"), Main: "kabench.ReactorNetty",
		Pins: []string{reactorNetty},
	},
	{
		Name: "reactor-netty-create", Client: "Reactor Netty", Version: "1.3.6", Language: Java,
		Preset:  []string{"reactor-netty-create"},
		Note:    `the caps of ConnectionProvider.create("name")`,
		Sources: java("ReactorPool", "ReactorNetty"), Main: "kabench.ReactorNetty", Args: []string{"create"},
		Pins: []string{reactorNetty},
	},
	{
		Name: "reactor-netty-builder", Client: "Reactor Netty", Version: "1.3.6", Language: Java,
		Preset:  []string{"reactor-netty-builder"},
		Note:    `the caps of ConnectionProvider.builder("name").build()`,
		Sources: java("ReactorPool", "ReactorNetty"), Main: "kabench.ReactorNetty", Args: []string{"builder"},
		Pins: []string{reactorNetty},
	},
	{
		Name: "spring-webclient", Client: "Spring WebClient", Version: "7.0.10", Language: Java,
		Preset:  []string{"reactor-netty", "spring-webclient"},
		Note:    "WebClient.create() over Reactor Netty 1.3.6",
		Sources: java("ReactorPool", "SpringWebClient"), Main: "kabench.SpringWebClient",
		Pins: []string{"org.springframework:spring-webflux:7.0.10", "org.springframework:spring-context:7.0.10", reactorNetty}, // the connector's lifecycle is in spring-context
	},
	{
		Name: "apache-hc5", Client: "Apache HttpClient 5", Version: "5.6.5", Language: Java,
		Preset:  []string{"apache-hc5"},
		Note:    "the classic client, which blocks",
		Sources: java("Hc5Settings", "Hc5"), Main: "kabench.Hc5",
		Pins: []string{hc5},
	},
	{
		Name: "apache-hc5-async", Client: "Apache HttpClient 5 (async)", Version: "5.6.5", Language: Java,
		Preset:  []string{"apache-hc5-async"},
		Sources: java("Hc5Settings", "Hc5Async"), Main: "kabench.Hc5Async",
		Pins: []string{hc5},
	},
	{
		Name: "apache-hc4", Client: "Apache HttpClient 4", Version: "4.5.14", Language: Java,
		Preset:  []string{"apache-hc4"},
		Sources: java("Hc4"), Main: "kabench.Hc4",
		Pins: []string{"org.apache.httpcomponents:httpclient:4.5.14"},
	},
	{
		Name: "okhttp", Client: "OkHttp", Version: "4.12.0", Language: Java,
		Preset:  []string{"okhttp"},
		Note:    "calls through its Dispatcher, enqueue()",
		Sources: java("OkHttp"), Main: "kabench.OkHttp", Args: []string{"okhttp"},
		Pins: []string{okhttp4},
	},
	{
		Name: "okhttp-sync", Client: "OkHttp", Version: "4.12.0", Language: Java,
		Preset:  []string{"okhttp-sync"},
		Note:    "calls past its Dispatcher, execute()",
		Sources: java("OkHttp"), Main: "kabench.OkHttp", Args: []string{"okhttp-sync", "execute"},
		Pins: []string{okhttp4},
	},
	{
		Name: "okhttp-5", Client: "OkHttp", Version: "5.5.1", Language: Java,
		Preset:  []string{"okhttp-5"},
		Note:    "calls through its Dispatcher, enqueue()",
		Sources: java("OkHttp"), Main: "kabench.OkHttp", Args: []string{"okhttp-5"},
		Pins: []string{okhttp5},
	},
	{
		Name: "okhttp-5-sync", Client: "OkHttp", Version: "5.5.1", Language: Java,
		Preset:  []string{"okhttp-5-sync"},
		Note:    "calls past its Dispatcher, execute()",
		Sources: java("OkHttp"), Main: "kabench.OkHttp", Args: []string{"okhttp-5-sync", "execute"},
		Pins: []string{okhttp5},
	},
	{
		Name: "jdk-httpclient", Client: "JDK HttpClient", Language: Java,
		Preset:  []string{"jdk-httpclient", "jdk-httpclient-17", "jdk-httpclient-26"},
		Note:    "the client of the JDK that runs; before JDK 20 the preset is jdk-httpclient-17, from JDK 26 jdk-httpclient-26",
		Sources: java("JdkHttpClient"), Main: "kabench.JdkHttpClient",
		Flags: []string{"-Djdk.httpclient.allowRestrictedHeaders=host,connection"},
	},
	{
		Name: "jetty-httpclient", Client: "Jetty HttpClient", Version: "12.1.14", Language: Java,
		Preset:  []string{"jetty-httpclient"},
		Sources: java("Jetty"), Main: "kabench.Jetty",
		Pins: []string{"org.eclipse.jetty:jetty-client:12.1.14"},
	},
	{
		Name: "vertx", Client: "Vert.x HttpClient", Version: "5.0.7", Language: Java,
		Preset:  []string{"vertx", "quarkus-rest-client"},
		Note:    "HTTP/1.1; all requests come from one thread, and so share an event loop",
		Sources: java("VertxHttp"), Main: "kabench.VertxHttp",
		Pins: []string{"io.vertx:vertx-core:5.0.7"},
	},
	{
		Name: "async-http-client", Client: "AsyncHttpClient", Version: "3.0.1", Language: Java,
		Preset:  []string{"async-http-client"},
		Sources: java("AsyncHttp"), Main: "kabench.AsyncHttp",
		Pins: []string{"org.asynchttpclient:async-http-client:3.0.1"},
	},
	{
		Name: "aws-sdk-java-v2", Client: "AWS SDK for Java 2 (Netty)", Version: "2.57.8", Language: Java,
		Preset:  []string{"aws-sdk-java-v2"},
		Note:    "the asynchronous HTTP client, without the SDK's retries above it",
		Sources: java("AwsSdk"), Main: "kabench.AwsSdk",
		Pins: []string{"software.amazon.awssdk:netty-nio-client:2.57.8"},
	},
	{
		Name: "httpurlconnection", Client: "HttpURLConnection", Language: Java,
		Preset:  []string{"httpurlconnection"},
		Note:    "of the JDK that runs",
		Sources: java("HttpUrl"), Main: "kabench.HttpUrl",
		Flags: []string{"--add-opens=java.base/sun.net.www.http=ALL-UNNAMED", "-Dsun.net.http.allowRestrictedHeaders=true"}, // a fresh cache of connections for each client
	},
	{
		Name: "ktor-cio", Client: "Ktor (CIO)", Version: "3.5.2", Language: Java,
		Preset:  []string{"ktor-cio"},
		Note:    "its coroutines are called from Java, as futures",
		Sources: java("KtorCio"), Main: "kabench.KtorCio",
		Pins: []string{"io.ktor:ktor-client-cio-jvm:3.5.2"},
	},
	{
		Name: "micronaut", Client: "Micronaut HTTP Client", Version: "4.10.15", Language: Java,
		Preset:  []string{"micronaut"},
		Note:    "HttpClient.create(), without Micronaut's beans",
		Sources: java("Micronaut"), Main: "kabench.Micronaut",
		Pins: []string{"io.micronaut:micronaut-http-client:4.10.15", "io.micronaut:micronaut-jackson-databind:4.10.15"}, // no client is made without a mapper of JSON
	},
}
