package kabench;

import io.ktor.client.HttpClient;
import io.ktor.client.HttpClientConfig;
import io.ktor.client.HttpClientKt;
import io.ktor.client.engine.cio.CIO;
import io.ktor.client.engine.cio.CIOEngineConfig;
import io.ktor.client.request.BuildersKt;
import io.ktor.client.request.HttpRequestBuilder;
import io.ktor.client.request.HttpRequestKt;
import io.ktor.client.statement.HttpResponse;
import io.ktor.client.statement.ReadersKt;
import io.ktor.http.HttpMethod;
import io.ktor.http.content.ByteArrayContent;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import kotlin.Unit;
import kotlin.coroutines.Continuation;
import kotlin.coroutines.EmptyCoroutineContext;
import kotlin.jvm.functions.Function2;
import kotlinx.coroutines.CoroutineScope;
import kotlinx.coroutines.CoroutineStart;
import kotlinx.coroutines.GlobalScope;
import kotlinx.coroutines.future.FutureKt;

/** Ktor's HttpClient on its CIO engine. Futures stand for its coroutines. */
final class KtorCio implements Kit.Client {
    private final HttpClient client;

    public static void main(String[] args) throws Exception {
        Kit.driver("ktor-cio", "Ktor (CIO)", Kit.versionOf(CIO.class).replace("jvm-", ""))
                .count("maxConnectionsCount", 1000, "max_conns_all")
                .count("maxConnectionsPerRoute", 100, "max_conns")
                .bool("pipelining", false)
                .count("pipelineMaxSize", 20, null)
                .duration("keepAliveTime", 5000, null) // connections are kept with pipelining only
                .count("connectAttempts", 1, null)
                .duration("connectTimeout", 5000, "connect_timeout")
                .duration("socketTimeout", null, null)
                .duration("requestTimeout", 15_000, "response_timeout")
                .run(KtorCio::new);
    }

    KtorCio(Config config) throws Exception {
        Exception[] refused = {null};
        client = HttpClientKt.HttpClient(CIO.INSTANCE, (HttpClientConfig<CIOEngineConfig> all) -> {
            all.setFollowRedirects(false);
            all.engine(engine -> {
                try {
                    set(config, engine);
                } catch (Exception e) {
                    refused[0] = e;
                }
                return Unit.INSTANCE;
            });
            return Unit.INSTANCE;
        });
        if (refused[0] != null) {
            throw refused[0];
        }
    }

    private static void set(Config config, CIOEngineConfig engine) throws Exception {
        var endpoint = engine.getEndpoint();
        config.on("maxConnectionsCount", (Integer n) -> engine.setMaxConnectionsCount(orMost(n)));
        config.on("maxConnectionsPerRoute", (Integer n) -> endpoint.setMaxConnectionsPerRoute(orMost(n)));
        config.on("pipelining", engine::setPipelining);
        config.on("pipelineMaxSize", endpoint::setPipelineMaxSize);
        config.on("keepAliveTime", (Duration d) -> endpoint.setKeepAliveTime(orMost(d)));
        config.on("connectAttempts", endpoint::setConnectAttempts);
        config.on("connectTimeout", (Duration d) -> endpoint.setConnectTimeout(orMost(d)));
        config.on("socketTimeout", (Duration d) -> endpoint.setSocketTimeout(orMost(d)));
        config.on("requestTimeout", (Duration d) -> engine.setRequestTimeout(d == null ? 0 : d.toMillis()));
        if (config.insecure) {
            engine.getHttps().setTrustManager(new TrustAll());
        }
    }

    private static int orMost(Integer n) {
        return n == null ? Integer.MAX_VALUE : n;
    }

    private static long orMost(Duration d) {
        return d == null ? Long.MAX_VALUE : d.toMillis();
    }

    @Override
    public void call(Call call) {
        HttpRequestBuilder request = new HttpRequestBuilder();
        HttpRequestKt.url(request, call.url);
        request.setMethod(HttpMethod.Companion.parse(call.method));
        for (String[] h : call.headers) {
            request.getHeaders().append(h[0], h[1]);
        }
        if (call.size > 0) {
            request.setBody(new ByteArrayContent(call.body(), null, null));
        }
        call.begin();
        CompletableFuture<HttpResponse> sent = future((scope, then) -> BuildersKt.request(client, request, then));
        call.onTimeout(() -> sent.cancel(true));
        CompletableFuture<byte[]> read = sent.thenCompose(response -> {
            call.status(response.getStatus().getValue());
            return future((scope, then) -> ReadersKt.readRawBytes(response, then));
        });
        read.whenComplete((body, error) -> {
            if (error == null) {
                call.read(body.length);
                call.done();
            } else {
                call.failed(error instanceof CompletionException ? error.getCause() : error); // the wrapper is the future's, not the client's
            }
        });
    }

    /** Runs a suspending function of Kotlin. In the client's own scope a failure would end the client. */
    private static <T> CompletableFuture<T> future(Function2<CoroutineScope, Continuation<? super T>, Object> suspending) {
        return FutureKt.future(GlobalScope.INSTANCE, EmptyCoroutineContext.INSTANCE, CoroutineStart.UNDISPATCHED, suspending);
    }

    @Override
    public void close() {
        client.close();
    }
}
