/** Fails because of another failure. */
public class Chained {
    static class Resource implements AutoCloseable {
        public void close() {
            throw new IllegalStateException("cannot close");
        }
    }

    static void open(String name) {
        try (Resource resource = new Resource()) {
            throw new IllegalArgumentException("bad name:\n  " + name + "\nwrite another");
        }
    }

    public static void main(String[] args) {
        try {
            open("x");
        } catch (IllegalArgumentException error) {
            throw new RuntimeException("cannot start", error);
        }
    }
}
