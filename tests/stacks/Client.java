import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;

/** Calls a server outside with Java's own client; stays until /srv/end is there. */
public class Client {
    public static void main(String[] arguments) throws Exception {
        var request = HttpRequest.newBuilder(URI.create("https://api.test/echo")).header("x-stack", "java").build();
        var answer = HttpClient.newHttpClient().send(request, BodyHandlers.ofString());
        System.out.println("java: " + answer.version() + " " + answer.body().trim());
        System.out.println("java: done");
        while (!Files.exists(Path.of("/srv/end"))) {
            Thread.sleep(100);
        }
    }
}
