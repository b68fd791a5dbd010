import de.bwaldvogel.mongo.MongoBackend;
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.bson.BsonTimestamp;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.exception.MongoServerError;
import de.bwaldvogel.mongo.exception.MongoServerException;
import de.bwaldvogel.mongo.exception.NoSuchCommandException;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.time.Instant;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.h2.mvstore.MVStore;

/**
 * mongo-java-server on a file, as today's drivers want it: {@code java Launcher FILE PORT}, on loopback.
 *
 * <p>Beside what the library does: it says that it is MongoDB 6.0, knows {@code hello}, gives errors their codes, sets timestamps
 * that rise with every write, as MongoDB does (the library's of one second are all alike), shows no half of a write, and has each
 * write in its file before it answers, so that what was acknowledged survives a kill (not a power cut: nothing is synced).
 */
public final class Launcher {
    private static final int WIRE_VERSION = 17;
    private static final int NAMESPACE_NOT_FOUND = 26;
    private static final int COMMAND_NOT_FOUND = 59;
    private static final int UNKNOWN_ERROR = 8;
    /** Commands that write nothing. All others are taken for writes. */
    private static final Set<String> READS = Set.of(
            "find", "getMore", "killCursors", "count", "distinct", "ping", "hello", "isMaster", "ismaster", "buildInfo",
            "listCollections", "listIndexes", "listDatabases", "endSessions", "serverStatus", "collStats", "dbStats");

    private final H2Backend backend;
    private final ReadWriteLock lock = new ReentrantReadWriteLock();
    /** The last timestamp: seconds in the upper half, what tells writes of a second apart in the lower. */
    private long timestamp;

    private Launcher(H2Backend backend) {
        this.backend = backend;
    }

    public static void main(String[] arguments) {
        // Nothing is saved but by `commit`, so never half of a write. Old versions of pages are not kept: the file would grow a hundredfold.
        MVStore store = new MVStore.Builder().fileName(arguments[0]).autoCommitDisabled().autoCommitBufferSize(0).pageSplitSize(2048).open();
        store.setRetentionTime(0);
        store.setVersionsToKeep(0);
        H2Backend backend = new H2Backend(store);
        backend.version(new Version());
        Launcher launcher = new Launcher(backend);
        MongoBackend proxy = (MongoBackend) Proxy.newProxyInstance(
                Launcher.class.getClassLoader(), new Class<?>[] {MongoBackend.class}, (self, method, values) -> launcher.call(method, values));
        MongoServer server = new MongoServer(proxy);
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
        server.bind("127.0.0.1", Integer.parseInt(arguments[1]));
    }

    private Object call(Method method, Object[] values) throws Throwable {
        if (!method.getName().equals("handleMessage")) {
            return pass(method, values);
        }
        String command = ((MongoMessage) values[0]).getDocument().keySet().iterator().next();
        if (command.equals("hello")) {
            return hello();
        }
        try {
            return withCode(READS.contains(command) ? read(method, values) : write(method, values));
        } catch (NoSuchCommandException error) {
            return failure(COMMAND_NOT_FOUND, "no such command: '" + command + "'");
        } catch (MongoServerError error) {
            throw error; // It has a code.
        } catch (MongoServerException error) {
            return withCode(failure(0, error.getMessage()));
        }
    }

    /** Never beside a write: the library changes documents field by field where they are, and sends answers with them later. */
    private Document read(Method method, Object[] values) throws Throwable {
        lock.readLock().lock();
        try {
            return ((Document) pass(method, values)).cloneDeeply();
        } finally {
            lock.readLock().unlock();
        }
    }

    /** One at a time, so that no other's commit saves half of this write. */
    private Document write(Method method, Object[] values) throws Throwable {
        lock.writeLock().lock();
        try {
            if (((MongoMessage) values[0]).getDocument().get("updates") instanceof Collection<?> updates) {
                updates.forEach(update -> setTimestamps(((Document) update).get("u")));
            }
            return ((Document) pass(method, values)).cloneDeeply();
        } finally {
            backend.commit();
            lock.writeLock().unlock();
        }
    }

    /** Sets the fields of an update that are to have the time of the write. */
    private void setTimestamps(Object operators) {
        if (!(operators instanceof Document update && update.get("$currentDate") instanceof Document fields)) {
            return;
        }
        Document set = update.get("$set") instanceof Document given ? given : new Document();
        for (String field : List.copyOf(fields.keySet())) {
            if (fields.get(field) instanceof Document type && "timestamp".equals(type.get("$type"))) {
                Instant now = Instant.now();
                timestamp = Math.max(timestamp + 1, now.getEpochSecond() << 32 | now.getNano() / 1000);
                set.append(field, new BsonTimestamp(timestamp));
                fields.remove(field);
            }
        }
        update.append("$set", set);
        if (fields.isEmpty()) {
            update.remove("$currentDate");
        }
    }

    private Object pass(Method method, Object[] values) throws Throwable {
        try {
            return method.invoke(backend, values);
        } catch (InvocationTargetException error) {
            throw error.getCause();
        }
    }

    private static Document failure(int code, String message) {
        Document failure = new Document("ok", 0.0).append("errmsg", message);
        return code == 0 ? failure : failure.append("code", code);
    }

    private static Document withCode(Document answer) {
        if (answer.get("errmsg") != null && !answer.containsKey("code")) {
            boolean namespace = answer.get("errmsg").toString().contains("ns not found");
            answer.append("code", namespace ? NAMESPACE_NOT_FOUND : UNKNOWN_ERROR);
        }
        return answer;
    }

    private static Document hello() {
        return new Document("helloOk", true)
                .append("isWritablePrimary", true)
                .append("maxBsonObjectSize", 16 * 1024 * 1024)
                .append("maxMessageSizeBytes", 48_000_000)
                .append("maxWriteBatchSize", 100_000)
                .append("localTime", Instant.now())
                .append("logicalSessionTimeoutMinutes", 30)
                .append("minWireVersion", 0)
                .append("maxWireVersion", WIRE_VERSION)
                .append("readOnly", false)
                .append("ok", 1.0);
    }

    private static final class Version implements MongoVersion {
        @Override
        public List<Integer> getVersionArray() {
            return List.of(6, 0, 0);
        }

        @Override
        public int getWireVersion() {
            return WIRE_VERSION;
        }
    }
}
